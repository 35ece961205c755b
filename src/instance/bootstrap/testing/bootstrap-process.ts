import { systemClock } from "../../../common/clock.ts";
import { silentLog } from "../../../common/log.ts";
import { findServerBinaries } from "../../../postgres/server-binaries.ts";
import { instanceFolder } from "../../instance-folder.ts";
import { instanceSpecSchema } from "../../instance-spec.ts";
import { bootstrapInstance } from "../bootstrap-instance.ts";

/**
 * A bootstrap as a process of its own, for tests that kill it: `node bootstrap-process.ts '{"folder":…,"spec":…,"program":…}'`.
 * It ends with 0 when the data directory is there.
 */
const job = JSON.parse(process.argv[2] ?? "{}") as {
  readonly folder: string;
  readonly spec: unknown;
  readonly program: readonly string[];
};
const spec = instanceSpecSchema.parse(job.spec);
await bootstrapInstance({
  folder: instanceFolder(job.folder),
  spec,
  binaries: await findServerBinaries({ major: spec.major }),
  program: job.program,
  log: silentLog,
  clock: systemClock,
  signal: new AbortController().signal,
  onActivity: () => undefined,
});
