import { systemClock } from "../../../common/clock.ts";
import { silentLog } from "../../../common/log.ts";
import { openResourceStore } from "../sqlite-resource-store.ts";

/** Opens a store and keeps it until it is killed: `node holding-child.ts PATH KEYFILE`. Says `open` when it has it. */
const [path = "", keyFile = ""] = process.argv.slice(2);
const store = await openResourceStore({ path, keyFile, clock: systemClock, log: silentLog });
process.stdout.write("open\n");
setInterval(() => store.list(), 1000);
