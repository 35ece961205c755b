import { signalOption, throwIfAborted } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { assert, describeError, EngineError, isEngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import { Measure, measured } from "../codec/measure.ts";
import { digestBackupInfo } from "../repository/backup-info-text.ts";
import { parseBackupManifest } from "../repository/backup-manifest.ts";
import { backupInfoKey, backupManifestKey, backupPrefix, keepKey, removalKey } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { MarkRenewal, runningMarkKey, writeRunningMark } from "../repository/running-mark.ts";
import { concernsRepository, isUnusable } from "../repository/several-repositories.ts";
import { readObject } from "../storage/object-body.ts";
import type { CopyContext, StepOutcome } from "./copy-wal.ts";
import { describeDamaged } from "./describe-damaged.ts";
import type { BackupStep, PartStep } from "./heal-plan.ts";
import { healingMark } from "./healing-mark.ts";
import { aimed, isOfTarget, storeInTarget } from "./target-store.ts";

/** Parts on their way at a time; each holds a few upload parts in memory. */
const concurrency = 2;
const manifestBytes = 64 * 1024 * 1024;
const cleanUpMs = 60_000;

/**
 * Makes one backup of the target as whole as another repository has it. `backup.info` comes last, so that visible means
 * restorable; its WAL is there by now.
 *
 * Killed anywhere: a backup that was missing has a mark and no `backup.info`, so nobody takes it for a good one, and the next
 * run goes on with what is there. One that is mended is at every moment at least as whole as before.
 */
export async function copyBackup(step: BackupStep, context: CopyContext): Promise<StepOutcome> {
  const { target, mode } = step;
  if (mode === "mend") {
    await copyContent(step, context);
    return "mended";
  }
  const { store, server } = target;
  const options = signalOption(context.signal);
  if (mode === "anew")
    await aimed(target, async () => store.delete([backupInfoKey(server, step.id)], options));
  const mark = healingMark(context.systemIdentifier, step.needs[0]);
  await aimed(target, async () => writeRunningMark(target, step.id, mark, options));
  const signal = context.signal ?? new AbortController().signal;
  try {
    using _renewal = new MarkRenewal(() => [target], step.id, mark, signal);
    await copyContent(step, context);
  } catch (error) {
    if (mode === "missing" && isOfTarget(error) && isEngineError(error, "disk-full"))
      await giveBackSpace(step);
    throw error;
  }
  await requireNotRemoved(step, context.signal);
  const marks = [runningMarkKey(server, step.id)];
  await aimed(target, async () => store.delete(marks, options));
  return mode === "anew" ? "mended" : "copied";
}

/** It does not fit: what is there of it would only take the space that WAL needs. Best effort. */
async function giveBackSpace({ target, id, parts }: BackupStep): Promise<void> {
  const { store, server, log } = target;
  const prefix = backupPrefix(server, id);
  const keys = [
    ...parts.map(({ name }) => `${prefix}${name}`),
    backupManifestKey(server, id),
    keepKey(server, id),
    runningMarkKey(server, id),
  ];
  try {
    await store.delete(keys, { signal: AbortSignal.timeout(cleanUpMs) });
  } catch (error) {
    log.warn("could not remove what there is of a backup that does not fit", {
      repository: target.name,
      backup: id,
      error: describeError(error),
    });
  }
}

async function copyContent(step: BackupStep, context: CopyContext): Promise<void> {
  const { target, id, parts, removes } = step;
  const { signal } = context;
  const { store, server } = target;
  await mapConcurrent(parts, concurrency, async (part) => copyPart(step, part, context), signal);
  faultPoint("heal:parts-copied");
  if (removes.length > 0) {
    const keys = removes.map((name) => `${backupPrefix(server, id)}${name}`);
    await aimed(target, async () => store.delete(keys, signalOption(signal)));
  }
  await copyManifest(step, context);
  faultPoint("heal:manifest-copied");
  if (step.keepFrom !== undefined) await copyKeep(step, step.keepFrom, signal);
  await requireStillThere(step, signal);
  await copyInfo(step, context);
  faultPoint("heal:info-copied");
}

/** From the first source whose bytes have the digest. What an interrupted run left is kept when it has it. */
async function copyPart(step: BackupStep, part: PartStep, context: CopyContext): Promise<void> {
  const { target, id } = step;
  const { signal } = context;
  const key = `${backupPrefix(target.server, id)}${part.name}`;
  if (await hasPart(target, key, part, signal)) {
    context.onBytes(part.sizeBytes);
    return;
  }
  if (step.mode === "mend") await describeDamaged(target, key, step.reason, signal);
  let failure: unknown;
  for (const source of part.sources) {
    try {
      await copyPartFrom(source, step, part, context);
      faultPoint("heal:part-copied");
      return;
    } catch (error) {
      throwIfAborted(signal);
      if (!concernsRepository(error) || isOfTarget(error)) throw error;
      if (isUnusable(error)) {
        const bad = `${backupPrefix(source.server, id)}${part.name}`;
        context.onDamage({ repository: source.name, key: bad, reason: error.message });
      }
      failure ??= error;
    }
  }
  throw (
    failure ??
    new EngineError("object-missing", `no repository has "${part.name}" of backup "${id}" any more`)
  );
}

/** Whether the target has this very part: by its bytes where there is a digest, else never. */
async function hasPart(
  target: Repository,
  key: string,
  part: PartStep,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (part.sha256 === undefined) return false;
  try {
    const opened = await target.store.get(key, signalOption(signal));
    if (opened === undefined) return false;
    const measure = new Measure({ sha256: true });
    for await (const chunk of opened.body) measure.update(chunk);
    return measure.result().sha256 === part.sha256;
  } catch (error) {
    if (isUnusable(error)) return false;
    throw error;
  }
}

async function copyPartFrom(
  source: Repository,
  { target, id }: BackupStep,
  part: PartStep,
  { signal, onBytes }: CopyContext,
): Promise<void> {
  const from = `${backupPrefix(source.server, id)}${part.name}`;
  const opened = await source.store.get(from, signalOption(signal));
  if (opened === undefined) {
    throw new EngineError("object-missing", `"${source.store.url}/${from}" was listed but is not there`);
  }
  const measure = new Measure({ sha256: part.sha256 !== undefined });
  let readBytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of measured(opened.body, measure)) {
      readBytes += chunk.length;
      onBytes(chunk.length);
      yield chunk;
    }
  };
  const verify = (): void => {
    const { sizeBytes, sha256 } = measure.result();
    if (sizeBytes === part.sizeBytes && (part.sha256 === undefined || sha256 === part.sha256)) return;
    throw new EngineError(
      "object-corrupt",
      `could not copy "${source.store.url}/${from}": it has ${sizeBytes} bytes with SHA-256 ${sha256 ?? "unknown"}, but ${part.sizeBytes} with ${part.sha256 ?? "unknown"} were expected`,
    );
  };
  try {
    await storeInTarget(target, `${backupPrefix(target.server, id)}${part.name}`, counted(), {
      expectedBytes: part.sizeBytes,
      verify,
      ...signalOption(signal),
    });
  } catch (error) {
    onBytes(-readBytes);
    throw error;
  }
}

async function copyManifest({ target, id, manifestFrom }: BackupStep, context: CopyContext): Promise<void> {
  if (manifestFrom.length === 0) return;
  const text = await firstText(manifestFrom, (server) => backupManifestKey(server, id), {
    check: (bytes) => {
      parseBackupManifest(bytes.toString("utf8"));
    },
    signal: context.signal,
  });
  const key = backupManifestKey(target.server, id);
  await aimed(target, async () => target.store.put(key, [text], signalOption(context.signal)));
}

async function copyInfo(
  { target, id, infoFrom, infoSha256 }: BackupStep,
  context: CopyContext,
): Promise<void> {
  if (infoFrom.length === 0) return;
  const text = await firstText(infoFrom, (server) => backupInfoKey(server, id), {
    check: (bytes) => {
      if (infoSha256 === undefined || digestBackupInfo(bytes.toString("utf8")) === infoSha256) return;
      throw new EngineError(
        "object-corrupt",
        `backup.info of "${id}" is another one than when it was listed`,
      );
    },
    signal: context.signal,
  });
  const key = backupInfoKey(target.server, id);
  await aimed(target, async () => target.store.put(key, [text], signalOption(context.signal)));
}

async function copyKeep({ target, id }: BackupStep, from: Repository, signal?: AbortSignal): Promise<void> {
  const mark = await readObject(from.store, keepKey(from.server, id), manifestBytes, signalOption(signal));
  if (mark === undefined) return;
  await aimed(target, async () => target.store.put(keepKey(target.server, id), [mark], signalOption(signal)));
}

async function firstText(
  sources: readonly Repository[],
  keyOf: (server: Repository["server"]) => string,
  { check, signal }: { readonly check: (bytes: Buffer) => void; readonly signal: AbortSignal | undefined },
): Promise<Buffer> {
  let failure: unknown;
  for (const { store, server } of sources) {
    try {
      const bytes = await readObject(store, keyOf(server), manifestBytes, signalOption(signal));
      if (bytes === undefined) {
        throw new EngineError(
          "object-missing",
          `"${store.url}/${keyOf(server)}" was listed but is not there`,
        );
      }
      check(bytes);
      return bytes;
    } catch (error) {
      throwIfAborted(signal);
      if (!concernsRepository(error)) throw error;
      failure ??= error;
    }
  }
  assert(failure !== undefined, "there is a source");
  throw failure;
}

/**
 * Somebody deletes the backup meanwhile, by hand or by a retention policy: what was found whole a moment ago may be gone, and then
 * nothing may become visible.
 */
async function requireStillThere(step: BackupStep, signal?: AbortSignal): Promise<void> {
  const { target, id, mode, parts } = step;
  const { store, server } = target;
  const prefix = backupPrefix(server, id);
  const sizes = new Map<string, number>();
  await aimed(target, async () => {
    for await (const entry of store.list(prefix, signalOption(signal))) {
      if (entry.kind === "object") sizes.set(entry.key.slice(prefix.length), entry.sizeBytes);
    }
  });
  const isHidden = mode === "mend" && !sizes.has("backup.info");
  const lost = parts.find(({ name, sizeBytes }) => sizes.get(name) !== sizeBytes);
  if (!isHidden && lost === undefined) return;
  const what = isHidden ? "backup.info" : `"${lost?.name ?? ""}"`;
  throw new EngineError(
    "backup-failed",
    `${what} of backup "${id}" has gone from repository "${target.name}" meanwhile`,
    { retryable: true, hint: "Is it being deleted there? If not, run heal again." },
  );
}

/** Somebody took it for dead meanwhile and is removing it: then it must not look whole. */
async function requireNotRemoved({ target, id }: BackupStep, signal?: AbortSignal): Promise<void> {
  const { store, server } = target;
  const removing = await aimed(target, async () => store.head(removalKey(server, id), signalOption(signal)));
  if (removing === undefined) return;
  await aimed(target, async () => store.delete([backupInfoKey(server, id)], signalOption(signal)));
  throw new EngineError("backup-failed", `backup "${id}" is being removed from repository "${target.name}"`, {
    retryable: true,
    hint: "Run heal again when that is done.",
  });
}
