import { readFileSync } from "node:fs";
import type { CodecName } from "../../codec/codec.ts";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { connect, type ConnectOptions } from "../../postgres/connection.ts";
import type { Repository } from "../../repository/repository.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import { createBackup } from "../create-backup.ts";
import { smallParts } from "./small-parts.ts";

/**
 * Takes one backup in a process of its own, which a test kills, or whose reads it counts:
 * `node backup-child.ts '{"repositories":[{"root":…,"codec":…}],"connection":…}'`. Prints how many bytes it has read.
 */
export interface BackupChildOrder {
  readonly repositories: readonly { readonly root: string; readonly codec?: CodecName }[];
  readonly connection: ConnectOptions;
  /** Else it waits for WAL in every repository. */
  readonly hasNoWal?: boolean;
}

/** By all system calls, whatever they read (proc(5)). */
const bytesRead = () => Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);

const order = JSON.parse(process.argv[2] ?? "{}") as BackupChildOrder;
const repositories: Repository[] = [];
for (const [index, { root }] of order.repositories.entries()) {
  const store = await openFileStore({ root });
  repositories.push({ name: `r${index}`, server: parseServerName("pg1"), store, log: silentLog });
}
await using connection = await connect(order.connection);
const before = bytesRead();
await createBackup({
  repositories,
  connection,
  ...(order.hasNoWal === true ? { archive: { waitFor: async () => undefined } } : {}),
  options: {
    ...smallParts,
    forms: new Map(order.repositories.map(({ codec = "zstd" }, index) => [`r${index}`, { codec }])),
  },
  clock: systemClock,
  log: silentLog,
});
process.stdout.write(`${bytesRead() - before}\n`);
