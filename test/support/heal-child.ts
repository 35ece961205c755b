import { systemClock } from "../../src/common/clock.ts";
import { silentLog } from "../../src/common/log.ts";
import { healRepositories, planRepositories } from "../../src/heal/run-heal.ts";
import { emptyRepository } from "./sample-archive.ts";

/** Heals one directory from another in a process of its own, which a test kills: `node heal-child.ts SOURCE TARGET`. */
const [, , from = "", to = ""] = process.argv;
const repositories = [await emptyRepository(from, "source"), await emptyRepository(to, "target")];
const options = {
  repositories,
  targets: new Set(["target"]),
  expires: () => false,
  settledMs: 0,
  clock: systemClock,
  log: silentLog,
};
const { failed } = await healRepositories(options, await planRepositories(options));
process.exitCode = failed.length;
