import { systemClock } from "../../common/clock.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import type { KindName } from "../../control/admission/kind-names.ts";
import { confirm } from "../confirm.ts";
import { connectFor, type ControlClient } from "../control-client.ts";
import { namespaceFor, type NamespaceOptions } from "../control-options.ts";
import { deletionText, type DeletionPlan, type ObjectName } from "../deletion-text.ts";
import { purgeBackups } from "../control/purge-backups.ts";
import { objectPath, parseKindArguments, shortName } from "../kind-arguments.ts";
import { readManifestFiles } from "../manifest-files.ts";
import { parseCount } from "../options.ts";
import { fieldAt, listOf, textOf } from "../shown-object.ts";

export interface DeleteCommandOptions extends NamespaceOptions {
  readonly file?: readonly string[];
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly ignoreNotFound?: boolean;
  /** False with --no-wait. */
  readonly wait?: boolean;
  readonly timeout?: string;
  /** Backups with their data. */
  readonly purge?: boolean;
  readonly force?: boolean;
}

/** How long an object may take to go: stopping a server may wait for a checkpoint. */
const defaultTimeoutSeconds = 300;

/** Between two looks at whether it is gone. */
const pollMs = 200;

interface Target extends ObjectName {
  readonly kindName: KindName;
}

/**
 * `tidemark delete`: shows what goes, asks, deletes, and waits until it is gone. Throws `usage`, `resource-missing` before
 * anything is deleted, `aborted`, `control-unreachable`.
 */
export async function run(
  words: readonly string[],
  options: DeleteCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const timeoutSeconds = parseCount("--timeout", options.timeout) ?? defaultTimeoutSeconds;
  const targets = await targetsOf(words, options);
  const client = await connectFor(options);
  const plan = await planFor(client, targets, signal);
  const [missing] = plan.missing;
  if (missing !== undefined && options.ignoreNotFound !== true) throw notFound(missing);
  const isMissing = ({ kind, namespace, name }: ObjectName): boolean =>
    plan.missing.some((key) => key.kind === kind && key.namespace === namespace && key.name === name);
  const present = targets.filter((target) => !isMissing(target));
  if (present.length === 0) return;
  if (options.purge === true) {
    await purgeBackups(client, present, options, signal);
    return;
  }
  process.stderr.write(deletionText(present, plan));
  if (options.dryRun === true) return;
  await confirm("Delete?", options, signal);
  for (const target of present) {
    const uid = await remove(client, target, signal);
    if (uid !== undefined && options.wait !== false)
      await waitUntilGone(client, target, uid, timeoutSeconds, signal);
    const ending = options.wait === false ? "is being deleted" : "deleted";
    process.stdout.write(
      `${shortName(target.kind, target.name)} ${uid === undefined ? "deleted" : ending}\n`,
    );
  }
}

async function targetsOf(
  words: readonly string[],
  options: DeleteCommandOptions,
): Promise<readonly Target[]> {
  const namespace = namespaceFor(options) ?? "default";
  if (options.file !== undefined) {
    if (words.length > 0) throw new EngineError("usage", "objects and -f cannot be given together");
    return targetsIn(options.file, namespace);
  }
  return parseKindArguments(words).flatMap(({ kind, names }) => {
    if (names.length === 0) {
      throw new EngineError("usage", `no name of a ${kind.kind} is given`, {
        hint: `tidemark get ${kind.plural} lists them.`,
      });
    }
    return names.map((name) => targetOf(kind, namespace, name));
  });
}

/** What was applied last is deleted first, so that nothing misses what it refers to. */
async function targetsIn(paths: readonly string[], namespace: string): Promise<readonly Target[]> {
  const { parseManifests } = await import("../../manifest/parse.ts");
  const { kindNameOf } = await import("../../control/admission/kind-names.ts");
  const { objects, problems } = parseManifests(await readManifestFiles(paths));
  const [problem] = problems;
  if (problem !== undefined) {
    const { path, position, message } = problem;
    throw new EngineError("manifest", `"${path}" cannot be read at line ${position.line}: ${message}`);
  }
  return objects
    .flatMap((object) => {
      const kind = kindNameOf(object.kind);
      const isKept = kind?.apiVersions.includes(object.apiVersion) === true;
      return kind === undefined || !isKept
        ? []
        : [targetOf(kind, object.namespace ?? namespace, object.name)];
    })
    .toReversed();
}

function targetOf(kindName: KindName, namespace: string, name: string): Target {
  return { kindName, kind: kindName.kind, namespace: kindName.isNamespaced ? namespace : "", name };
}

async function planFor(
  client: ControlClient,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<DeletionPlan> {
  const objects = targets.map(({ kind, namespace, name }) => ({ kind, namespace, name }));
  const answer = await client.request("/tidemark/v1/deletion-plan", {
    method: "POST",
    body: { objects },
    signal,
  });
  const names = (path: string): readonly ObjectName[] =>
    listOf(answer, path).map((key) => ({
      kind: textOf(key, "kind"),
      namespace: textOf(key, "namespace"),
      name: textOf(key, "name"),
    }));
  return { missing: names("missing"), alsoDeleted: names("alsoDeleted") };
}

function notFound({ kind, namespace, name }: ObjectName): EngineError {
  const place = namespace === "" ? "" : ` in namespace "${namespace}"`;
  return new EngineError("resource-missing", `there is no ${kind} "${name}"${place}`, {
    hint: "Nothing was deleted; --ignore-not-found deletes the others.",
  });
}

/** The uid of one that is only marked; undefined when it is gone. */
async function remove(
  client: ControlClient,
  { kindName, namespace, name }: Target,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const answer = await client.request(objectPath(kindName, namespace, name), { method: "DELETE", signal });
    return fieldAt(answer, "code") === 202 ? textOf(answer, "details.uid") : undefined;
  } catch (error) {
    // It went with one of those before it.
    if (isEngineError(error, "resource-missing")) return undefined;
    throw error;
  }
}

async function waitUntilGone(
  client: ControlClient,
  { kindName, kind, namespace, name }: Target,
  uid: string,
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const until = systemClock.monotonicMs() + timeoutSeconds * 1000;
  for (;;) {
    try {
      const object = await client.request(objectPath(kindName, namespace, name), { signal });
      // One of the same name that was made since is another one.
      if (textOf(object, "metadata.uid") !== uid) return;
    } catch (error) {
      if (isEngineError(error, "resource-missing")) return;
      throw error;
    }
    if (systemClock.monotonicMs() > until) {
      throw new EngineError("aborted", `${kind} "${name}" is still being deleted after ${timeoutSeconds} s`, {
        hint: "It goes on being deleted; tidemark describe shows what it waits for.",
      });
    }
    await systemClock.sleep(pollMs, signal);
  }
}
