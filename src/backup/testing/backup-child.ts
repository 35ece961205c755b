import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { connect, type ConnectOptions } from "../../postgres/connection.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import { createBackup } from "../create-backup.ts";
import { smallParts } from "./small-parts.ts";

/** Takes one backup in a process of its own, which a test kills: `node backup-child.ts '{"root":…,"connection":…}'`. */
const { root, connection: settings } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly root: string;
  readonly connection: ConnectOptions;
};
const store = await openFileStore({ root });
await using connection = await connect(settings);
await createBackup({
  repositories: [{ name: "main", server: parseServerName("pg1"), store, log: silentLog }],
  connection,
  options: smallParts,
  clock: systemClock,
  log: silentLog,
});
