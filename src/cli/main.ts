#!/usr/bin/env node
import { availableParallelism } from "node:os";

// libuv reads this once, when its thread pool is first used: compression, file and crypto work of several lanes must
// not queue behind each other. So it is set before anything else is loaded.
process.env["UV_THREADPOOL_SIZE"] ??= String(Math.max(16, availableParallelism() * 2));

// Node ends with 1 when a module cannot be loaded or nobody caught an exception. As a restore_command that would say "not
// in the archive", which ends recovery: there everything but a certain absence must lie above 125 (`exit-status.ts`).
const isRestoreCommand = process.argv[2] === "wal" && process.argv.includes("fetch");
process.on("uncaughtException", (error) => {
  process.stderr.write(`tidemark: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(isRestoreCommand ? 150 : 1);
});

const neededMajor = 24;
if (Number.parseInt(process.versions.node, 10) < neededMajor) {
  process.stderr.write(
    `tidemark: needs Node ${neededMajor} or newer, but this is Node ${process.versions.node}\nhint: In a checkout, "npm run tidemark -- …" uses the right one.\n`,
  );
  process.exit(isRestoreCommand ? 150 : 3);
}

const { runCommandLine } = await import("./command-line.ts");
await runCommandLine(process.argv);
