import { createLog } from "../../common/log.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import { runAgent } from "../run-agent.ts";

/**
 * An agent in a process of its own, so that a test can kill it: DATA SPOOL STORE. Prints a line when it serves.
 */
const [dataDirectory = "", spoolDirectory = "", root = ""] = process.argv.slice(2);
const log = createLog((level, message, fields) => {
  if (level === "warn" || level === "error") process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
});
const controller = new AbortController();
process.on("SIGTERM", () => controller.abort());
const store = await openFileStore({ root });
await runAgent({
  dataDirectory,
  spoolDirectory,
  targets: [{ repository: { name: "main", server: parseServerName("pg1"), store, log }, codec: "zstd" }],
  pushCommand: ["false"],
  log,
  signal: controller.signal,
  onServing: () => process.stdout.write("serving\n"),
});
