import { expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import type { ServerBinaries } from "../../postgres/server-binaries.ts";
import { instanceFolder } from "../instance-folder.ts";
import { sampleSpec } from "../process/testing/sample-spec.ts";
import { bootstrapInstance } from "./bootstrap-instance.ts";
import { writeFinishedBootstrap } from "./bootstrap-report.ts";

test("a former standby whose data are gone is not copied anew once it is the primary: its copy may be older", async () => {
  const folder = instanceFolder(await temporaryFolder());
  const report = { kind: "clone", durationMs: 1 } as const;
  await writeFinishedBootstrap(folder, { attempt: "a", report }, undefined);
  const binaries: ServerBinaries = { major: 17, version: "17.0", directory: "/nowhere", source: "flag" };
  const spec = sampleSpec({
    name: "pg-2",
    bootstrap: { kind: "clone", host: "/nowhere", port: 5432, dataDirectory: "/nowhere" },
  });

  const made = bootstrapInstance({
    folder,
    spec,
    binaries,
    program: [],
    log: silentLog,
    clock: systemClock,
    signal: AbortSignal.timeout(20_000),
    onActivity: () => undefined,
  });

  await expect(made).rejects.toMatchObject({
    code: "target-directory",
    message: 'the data directory of instance "pg-2" was made by clone before, and is gone',
  });
});
