import { openSync, writeSync } from "node:fs";
import { systemClock } from "../../../common/clock.ts";
import { silentLog } from "../../../common/log.ts";
import { openResourceStore } from "../sqlite-resource-store.ts";
import { applyStep } from "./steps.ts";

/**
 * Makes one call after the other until it is killed, and notes each one that was answered:
 * `node writing-child.ts PATH KEYFILE FIRST-STEP NOTES`. Says `open` before the first.
 */
const [path = "", keyFile = "", first = "", notes = ""] = process.argv.slice(2);
const store = await openResourceStore({ path, keyFile, clock: systemClock, log: silentLog });
const file = openSync(notes, "a");
writeSync(1, "open\n");
for (let step = Number(first); ; step++) {
  applyStep(store, step);
  writeSync(file, `${step}\n`);
}
