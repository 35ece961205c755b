import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { testServer } from "../../postgres/testing/test-server.ts";
import type { AttachedSpec } from "./attached-spec.ts";
import { AttachedWatch } from "./attached-watch.ts";

test("whoever watches a server holds up no smart stop of it, also when nobody asks any more", async () => {
  await using pg = await testServer();
  const { host, port, user } = pg.server.connection;
  const spec: AttachedSpec = {
    format: 1,
    version: 1,
    server: "default/main",
    name: "main",
    uid: "u",
    dataDirectory: pg.dataDirectory,
    spoolDirectory: `${pg.folder.path}/spool`,
    connection: { host, port, user, database: "postgres", sslMode: "disable" },
    archive: {
      server: "main",
      repositories: [{ name: "store", url: pg.folder.path }],
      walCompression: "none",
      policy: "all",
      backupCompression: "none",
      fastCheckpoint: true,
      requireEmptyArchive: true,
      tags: {},
    },
  };
  const watch = new AttachedWatch({ clock: systemClock, log: silentLog }, spec);
  const over = new AbortController();
  const lettingGo = watch.holdUpNoStop(over.signal);
  expect((await watch.report()).postgres?.role).toBe("primary");

  expect(await pg.server.stop("smart", { timeoutMs: 10_000 })).toBe("smart");

  const { postgresError } = await watch.report();
  expect(postgresError?.message).toContain("could not connect to PostgreSQL");
  over.abort();
  await Promise.all([lettingGo, watch.close()]);
});
