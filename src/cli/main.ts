#!/usr/bin/env node
import { availableParallelism } from "node:os";

// libuv reads this once, when its thread pool is first used: compression, file and crypto work of several lanes must
// not queue behind each other. So it is set before anything else is loaded.
process.env["UV_THREADPOOL_SIZE"] ??= String(Math.max(6, availableParallelism() * 2));

const { runCommandLine } = await import("./command-line.ts");
await runCommandLine(process.argv);
