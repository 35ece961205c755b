import type { InstanceBootstrap, InstanceSpec } from "../../instance/instance-spec.ts";
import {
  isPrimaryServer,
  isRunning,
  isUnmade,
  type ClusterAction,
  type ClusterDecision,
  type ClusterEvent,
  type ClusterFacts,
  type InstanceFacts,
} from "./cluster-facts.ts";
import {
  differs,
  isSameBootstrap,
  wantedSpec,
  withoutStatements,
  type InstanceRole,
  type WantedSpec,
} from "./instance-specs.ts";

/** Between two looks while something is under way, and while all is as it should be. */
export const busyMs = 1000;
export const settledMs = 10_000;

/** What the steps of a decision share. */
export interface DecisionContext {
  readonly facts: ClusterFacts;
  readonly primary: InstanceFacts;
  /** It has failed or is gone, and is not being started just now. */
  readonly isDown: boolean;
  readonly decided: ClusterDecision;
}

/** Its specification written anew where it differs from what it should be. */
export function specActions(
  facts: ClusterFacts,
  instance: InstanceFacts,
  primary: InstanceFacts,
  wanted: InstanceSpec["wanted"],
): ClusterAction[] {
  const { spec: present } = instance;
  if (present === undefined) return [];
  const { archive, view } = facts;
  const anew = instance === primary ? bootstrapAnew(facts, instance) : cloneAnew(instance, primary);
  const next: WantedSpec = wantedSpec(view, {
    place: present,
    role: roleOf(instance, primary) ?? present.role,
    bootstrap:
      anew?.bootstrap ??
      (instance.status?.bootstrapped === true ? withoutStatements(present.bootstrap) : present.bootstrap),
    major: anew?.major ?? present.major,
    binDirectory: present.binDirectory,
    archive: archive.kind === "ok" ? archive.value : undefined,
    wanted,
  });
  const spec =
    archive.kind === "missing" && present.archive !== undefined
      ? { ...next, archive: present.archive }
      : next;
  if (!differs(spec, present) && (anew === undefined || isSameBootstrap(spec, present))) return [];
  return [{ kind: "write-spec", name: instance.name, spec, version: present.version + 1 }];
}

/** A target that cannot be reached, a store that was not there: what was corrected in the manifest since is tried. */
function bootstrapAnew(
  { bootstrap, remembered, view }: ClusterFacts,
  instance: InstanceFacts,
): { readonly bootstrap: WantedSpec["bootstrap"]; readonly major?: number } | undefined {
  if (remembered.systemId !== undefined || !isUnmade(instance) || bootstrap.kind !== "ok") return undefined;
  const { bootstrap: wanted, major } = bootstrap.value;
  // The newest that is installed may be another one by now; only who names one, or copies one, wants another.
  const isSaid = view.spec.imageName !== undefined || wanted.kind === "copy";
  return isSaid ? { bootstrap: wanted, major } : { bootstrap: wanted };
}

/** A standby without data is a copy of whoever is the primary now: the one that it was to be copied from may be gone. */
function cloneAnew(
  { status }: InstanceFacts,
  primary: InstanceFacts,
): { readonly bootstrap: WantedSpec["bootstrap"]; readonly major?: number } | undefined {
  if (status?.bootstrapped !== false || !isRunning(primary) || !isPrimaryServer(primary)) return undefined;
  const bootstrap = cloneOf(primary);
  return bootstrap === undefined ? undefined : { bootstrap };
}

function roleOf(instance: InstanceFacts, primary: InstanceFacts): InstanceRole | undefined {
  if (instance === primary) return { kind: "primary" };
  if (primary.spec === undefined) return undefined;
  return { kind: "standby", host: primary.spec.socketDirectory, port: primary.spec.port };
}

export function standbysOf({ instances }: ClusterFacts, primary: InstanceFacts): readonly InstanceFacts[] {
  return instances.filter((instance) => instance !== primary);
}

/** A copy of the primary, which must have a specification. */
export function cloneOf({
  spec,
  dataDirectory,
}: InstanceFacts): Extract<InstanceBootstrap, { kind: "clone" }> | undefined {
  if (spec === undefined) return undefined;
  return { kind: "clone", host: spec.socketDirectory, port: spec.port, dataDirectory };
}

/** Of those whose process is gone. */
export function spawnsOf(instances: readonly InstanceFacts[]): ClusterAction[] {
  return instances
    .filter(({ isProcessAlive }) => !isProcessAlive)
    .map(({ name }) => ({ kind: "spawn", name }));
}

export function normal(reason: string, message: string): ClusterEvent {
  return { type: "Normal", reason, message };
}
