import { describeError } from "../../common/errors.ts";
import {
  externalSecretSpec,
  targetSecretName,
  type ExternalSecretSpec,
} from "../../manifest/kinds/external-secret.ts";
import type { Again } from "../loop/reconciler.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { draftOf, keyOf, type Resource } from "../resources/resource.ts";
import { desiredSecret, type Retry } from "./desired-secret.ts";
import { doneStatus, statusOf, type Outcome } from "./external-secret-status.ts";
import { nextLook } from "./refresh.ts";
import type { SecretFacts } from "./secret-facts.ts";
import type { SecretValues } from "./secret-keys.ts";

export interface Failure {
  /** For the condition. */
  readonly message: string;
  /** For the event and the log. */
  readonly detail: string;
}

export type WriteResult =
  | { readonly kind: "done"; readonly again: Again }
  /** `at-once`: again and again, with growing pauses, as the values may be others by then. */
  | { readonly kind: "failed"; readonly failure: Failure; readonly retry: Retry | "at-once" };

export interface WriteFacts {
  readonly store: ResourceStore;
  readonly external: Resource;
  readonly spec: ExternalSecretSpec;
  readonly values: SecretValues;
  /** `syncedVersionOf` the ExternalSecret. */
  readonly version: string;
  readonly now: Date;
}

/**
 * Brings the target Secret to what was fetched, and notes it in the status. Killed in between, the Secret is there without
 * the note: the next call finds it so, and writes nothing but the note.
 */
export function writeSecret(facts: WriteFacts): WriteResult {
  const { store, external, spec, values } = facts;
  const { namespace, name } = external.metadata;
  const secretName = targetSecretName(name, spec);
  const existing = store.get({ kind: "Secret", namespace, name: secretName });
  const { creationPolicy = "Owner", deletionPolicy = "Retain" } = spec.target ?? {};

  if (values.size === 0 && deletionPolicy === "Retain") return done(facts, "retained", existing);
  if (values.size === 0 && deletionPolicy === "Delete") return deleteSecret(facts, existing);
  if (creationPolicy === "None") return done(facts, "synced", undefined);
  if (creationPolicy === "Merge" && existing === undefined) return done(facts, "missing", undefined);
  if (creationPolicy === "Owner") deleteOrphans(facts, secretName);
  const rivals = store
    .list({ kind: external.kind, namespace })
    .filter((other) => other.metadata.name !== name && secretNameOf(other) === secretName)
    .map((other) => other.metadata.name);
  return putSecret(facts, { external, spec, secretName, existing, values, rivals: new Set(rivals) });
}

/** Name of the Secret that an ExternalSecret makes; its own when it cannot be read. */
export function secretNameOf({ metadata, content }: Resource): string {
  const spec = externalSecretSpec.safeParse(content["spec"]);
  return targetSecretName(metadata.name, spec.success ? spec.data : {});
}

function putSecret(facts: WriteFacts, secretFacts: SecretFacts): WriteResult {
  const { store, external } = facts;
  const { existing } = secretFacts;
  let desired: ReturnType<typeof desiredSecret>;
  try {
    desired = desiredSecret(secretFacts);
  } catch (error) {
    return failed("could not update secret", `could not apply template: ${describeError(error)}`, "at-once");
  }
  if (desired.kind === "refused") return failed(desired.message, desired.detail, desired.retry);
  const secret =
    existing === undefined
      ? store.create(desired.draft)
      : store.update(desired.draft, { ifVersion: existing.metadata.resourceVersion });
  if (secret.metadata.resourceVersion !== existing?.metadata.resourceVersion) {
    const isNew = existing === undefined;
    store.recordEvent({
      about: external,
      type: "Normal",
      reason: isNew ? "Created" : "Updated",
      message: isNew ? "secret created" : "secret updated",
    });
  }
  return done(facts, "synced", secret);
}

/** Only one that is ours: another's would be gone without anybody having asked for it. */
function deleteSecret(facts: WriteFacts, existing: Resource | undefined): WriteResult {
  const { store, external } = facts;
  if (existing === undefined) return done(facts, "deleted", undefined);
  if (!isOwnedBy(existing, external)) {
    const detail = `unable to delete secret ${existing.metadata.name}: it is not owned by this ExternalSecret`;
    return failed("could not delete secret", detail, "on-change");
  }
  store.delete(keyOf(existing), { ifUid: existing.metadata.uid });
  recordDeletion(facts, "secret deleted due to DeletionPolicy=Delete");
  return done(facts, "deleted", undefined);
}

/** Secrets that it owns under another name: its target was renamed. */
function deleteOrphans(facts: WriteFacts, secretName: string): void {
  const { store, external } = facts;
  const { namespace, uid } = external.metadata;
  for (const orphan of store.list({ kind: "Secret", namespace, ownerUid: uid })) {
    if (orphan.metadata.name === secretName) continue;
    const others = orphan.metadata.ownerReferences.filter((owner) => owner.uid !== uid);
    if (others.length > 0) {
      store.update({ ...draftOf(orphan), ownerReferences: others });
      continue;
    }
    store.delete(keyOf(orphan), { ifUid: orphan.metadata.uid });
    recordDeletion(facts, "secret deleted because it was orphaned");
  }
}

function recordDeletion({ store, external }: WriteFacts, message: string): void {
  store.recordEvent({ about: external, type: "Normal", reason: "Deleted", message });
}

function isOwnedBy(secret: Resource, external: Resource): boolean {
  return secret.metadata.ownerReferences.some(({ uid }) => uid === external.metadata.uid);
}

function done(facts: WriteFacts, outcome: Outcome, secret: Resource | undefined): WriteResult {
  const { store, external, spec, version, now } = facts;
  const status = doneStatus(statusOf(external), outcome, { version, secret, now });
  store.setStatus(keyOf(external), status, { ifUid: external.metadata.uid });
  return { kind: "done", again: nextLook(spec, status, now) };
}

function failed(message: string, detail: string, retry: Retry | "at-once"): WriteResult {
  return { kind: "failed", failure: { message, detail }, retry };
}
