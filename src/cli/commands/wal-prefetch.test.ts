import { access, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import { eventually, fakeCluster } from "../../agent/testing/agent-bench.ts";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { run } from "./wal-prefetch.ts";

test.each(["recovery.signal", "standby.signal"])(
  "prefetching goes on while %s is there, and removes its folder afterwards",
  async (signalFile) => {
    const { dataDirectory } = await fakeCluster();
    await writeFile(join(dataDirectory, signalFile), "");
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const script = join(prefetchRootOf(dataDirectory), "restore.sh");

    const repo = [await temporaryFolder()];
    const ended = run(dataDirectory, { repo, server: "main", logLevel: "error" }, stop.signal);
    await eventually(async () => access(script));
    // Long enough to have looked again.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await access(script);

    await rm(join(dataDirectory, signalFile));
    await ended;
    await expect(access(script)).rejects.toMatchObject({ code: "ENOENT" });
  },
);
