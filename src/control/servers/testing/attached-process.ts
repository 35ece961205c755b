import { systemClock } from "../../../common/clock.ts";
import { silentLog } from "../../../common/log.ts";
import { runAttached } from "../../../instance/attached/run-attached.ts";

/** The process beside a server, as the user that runs the tests: `… server run FOLDER`. */
await runAttached({
  folder: process.argv.at(-1) ?? "",
  program: ["/bin/false"],
  clock: systemClock,
  log: silentLog,
  signal: new AbortController().signal,
});
