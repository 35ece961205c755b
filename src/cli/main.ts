#!/usr/bin/env node
import { availableParallelism } from "node:os";

// libuv reads this once, when its thread pool is first used: compression, file and crypto work of several lanes must
// not queue behind each other. So it is set before anything else is loaded.
process.env["UV_THREADPOOL_SIZE"] ??= String(Math.max(16, availableParallelism() * 2));

const neededMajor = 24;
if (Number.parseInt(process.versions.node, 10) < neededMajor) {
  process.stderr.write(
    `tidemark: needs Node ${neededMajor} or newer, but this is Node ${process.versions.node}\nhint: In a checkout, "npm run tidemark -- …" uses the right one.\n`,
  );
  process.exit(3);
}

const { runCommandLine } = await import("./command-line.ts");
await runCommandLine(process.argv);
