import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { controlPath, markerName, readTablespaceMark } from "../../restore/marker.ts";
import { exists } from "../configuration/own-files.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import { createAttempt, findAttempts, type Attempt } from "./attempt.ts";
import { cloneServer } from "./bootstrap-clone.ts";
import { copyCluster } from "./bootstrap-copy.ts";
import { makeCluster } from "./bootstrap-initdb.ts";
import type { BootstrapOptions } from "./bootstrap-options.ts";
import { recoverCluster } from "./bootstrap-recovery.ts";
import {
  readFinishedBootstrap,
  writeFinishedBootstrap,
  type BootstrapReport,
  type RecoveryReport,
} from "./bootstrap-report.ts";
import { removeAttempt, stopLeftServer, tryToRemoveAttempt } from "./remove-attempt.ts";
import { isResumable } from "./resume.ts";

/**
 * Makes the data directory of an instance, as its specification says. It appears whole and durable, or not at all; killed
 * at any moment, the next call goes on or begins anew, and removes what the killed one left (`attempt.ts`). No server runs on
 * it when this returns. The folder itself must be there. One call at a time for a folder.
 *
 * Also writes the configuration files that a server needs meanwhile (`writeConfiguration` is to be called before the start).
 *
 * @throws EngineError `target-directory` when there is a data directory, or anything else in its place, or when one that was
 * made before is gone and this would be no copy of another server; `target-unreachable`
 * for a recovery that cannot be done, with what can; `target-missed`; `postgres-failed`, for a statement of the specification
 * with its list and number; `postgres-missing`; what stores and files throw; `aborted`. A recovery that was interrupted, or
 * failed in replay, and a copy that was promoted are gone on with by the next call; of anything else nothing stays.
 */
export async function bootstrapInstance(options: BootstrapOptions): Promise<BootstrapReport> {
  const { folder, spec, log, clock, onActivity } = options;
  const { bootstrap } = spec;
  const startedMs = clock.monotonicMs();
  const user = await chooseServerUser(folder.root);
  await requireNoData(folder);
  const left = await findAttempts(folder, user, log);
  const finished = await readFinishedBootstrap(folder);
  const whole = left.find(({ id }) => id === finished?.attempt);
  if (finished !== undefined && whole !== undefined && (await exists(whole.data))) {
    await publish(folder, whole);
    return finished.report;
  }
  if (finished !== undefined) requireClone(spec, finished.report);
  const interrupted = await findInterrupted(left, options);
  for (const attempt of left) {
    if (attempt === interrupted) continue;
    onActivity("removing what an interrupted bootstrap left");
    await removeAttempt(folder, attempt, log);
  }
  const attempt = interrupted ?? (await createAttempt(folder, bootstrap, user));
  let recovery: RecoveryReport | undefined;
  try {
    recovery = await makeData(options, attempt, user);
  } catch (error) {
    if (!(await isResumable(attempt, bootstrap))) await tryToRemoveAttempt(folder, attempt, log);
    throw error;
  }
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  const report: BootstrapReport = {
    kind: bootstrap.kind,
    durationMs,
    ...(recovery === undefined ? {} : { recovery }),
  };
  faultPoint("bootstrap:before-report");
  await writeFinishedBootstrap(folder, { attempt: attempt.id, report }, user);
  faultPoint("bootstrap:report-written");
  await publish(folder, attempt);
  log.info("made the data directory", { path: folder.data, kind: bootstrap.kind, durationMs });
  return report;
}

async function requireNoData(folder: InstanceFolder): Promise<void> {
  const { data } = folder;
  const names = await readdir(data).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", data, error);
  });
  if (names.length === 0) return;
  if (await exists(join(data, controlPath))) {
    throw new EngineError("target-directory", `there is a data directory in "${data}" already`);
  }
  throw new EngineError("target-directory", `"${data}" is no data directory, but holds "${names[0]}"`, {
    hint: "Tidemark removes only what it has put there itself: move it away.",
  });
}

/**
 * A data directory that was there and is gone is not made anew as it once was: an empty cluster, or an old one, in its place
 * would look like the one that was lost. A standby gets another copy; one that has become the primary does not: whom it was copied
 * from may be its standby now, and what that one has not replayed would be lost.
 */
function requireClone({ name, role, bootstrap }: BootstrapOptions["spec"], { kind }: BootstrapReport): void {
  if (bootstrap.kind === "clone" && role.kind === "standby") return;
  throw new EngineError(
    "target-directory",
    `the data directory of instance "${name}" was made by ${kind} before, and is gone`,
    {
      hint: "Bring it back, let a standby take over, or restore the cluster from its archive under a new name.",
    },
  );
}

/** The attempt that can be gone on with, its server stopped. */
async function findInterrupted(
  left: readonly Attempt[],
  { spec, log }: BootstrapOptions,
): Promise<Attempt | undefined> {
  for (const attempt of left) {
    await stopLeftServer(attempt, log);
    if (await isResumable(attempt, spec.bootstrap)) return attempt;
  }
  return undefined;
}

async function makeData(
  options: BootstrapOptions,
  attempt: Attempt,
  user: ServerUser | undefined,
): Promise<RecoveryReport | undefined> {
  const { bootstrap } = options.spec;
  const job = { ...options, attempt, user };
  switch (bootstrap.kind) {
    case "initdb":
      await makeCluster({ ...job, bootstrap });
      return undefined;
    case "clone":
      await cloneServer({ ...job, bootstrap });
      return undefined;
    case "copy":
      await copyCluster({ ...job, bootstrap });
      return undefined;
    case "recovery":
      return recoverCluster({ ...job, bootstrap });
  }
}

/** The last steps of a complete attempt; a crash between them is gone on with here. */
async function publish(folder: InstanceFolder, attempt: Attempt): Promise<void> {
  try {
    for (const directory of attempt.mark.tablespaces) {
      if ((await readTablespaceMark(directory)) !== attempt.id) continue;
      await rm(join(directory, markerName), { force: true });
      await syncDirectory(directory);
    }
    // Onto an empty directory too, should there be one.
    await rename(attempt.data, folder.data);
    await syncDirectory(folder.root);
  } catch (error) {
    throw fileError("put the data directory in place as", folder.data, error);
  }
  faultPoint("bootstrap:renamed");
  await attempt.removeFolder();
}
