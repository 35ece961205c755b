import { runAgent } from "../../src/agent/run-agent.ts";
import { silentLog } from "../../src/common/log.ts";
import { parseServerName } from "../../src/repository/server-name.ts";
import { openFileStore } from "../../src/storage/file/file-store.ts";
import { wrapStore } from "../../src/storage/wrap-store.ts";
import { troubledStore, type Trouble } from "./troubled-store.ts";

/**
 * An agent in a process of its own, whose directories have trouble on demand: DATA SPOOL POLICY DIRECTORY…. The parent is
 * told "serving", and sends `{ repository, trouble }`. Stores are wrapped as the command line wraps them.
 */
const [dataDirectory = "", spoolDirectory = "", policy = "all", ...roots] = process.argv.slice(2);
const log = silentLog;
const controller = new AbortController();
process.on("SIGTERM", () => controller.abort());
process.on("disconnect", () => process.exit(1));
const stores = await Promise.all(roots.map(async (root) => troubledStore(await openFileStore({ root }))));
process.on("message", ({ repository, trouble }: { repository: number; trouble: Trouble }) => {
  stores[repository]?.set(trouble);
});
await runAgent({
  dataDirectory,
  spoolDirectory,
  policy: policy === "all" ? "all" : Number(policy),
  targets: stores.map(({ store }, index) => ({
    repository: {
      name: `r${index}`,
      server: parseServerName("main"),
      store: wrapStore(store, { log, timeout: { callMs: 10_000, idleMs: 10_000 } }),
      log,
    },
    codec: "zstd",
  })),
  pushCommand: ["false"],
  log,
  signal: controller.signal,
  onServing: () => process.send?.("serving"),
});
process.disconnect();
