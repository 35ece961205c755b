import { expect, test } from "vitest";
import { walTargets } from "../../instance/wal-targets.ts";
import { silentLog } from "../../common/log.ts";
import { formsOf } from "../../repository/stored-form.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { ClusterArchive } from "./cluster-archive.ts";
import { archiveSpecOf } from "./openable-archive.ts";

function store(name: string, configuration: Partial<ClusterArchive["stores"][number]["configuration"]>) {
  return {
    name,
    objectStore: name,
    serverName: "pg",
    configuration: { destinationPath: `/${name}`, ...configuration },
    retentionPolicy: undefined,
    retentionIntervalSeconds: 1800,
    environment: {},
  };
}

const archive: ClusterArchive = {
  serverName: "pg",
  policy: "all",
  method: "plugin",
  stores: [
    store("first", { wal: { compression: "zstd" }, data: { compression: "gzip" } }),
    store("second", { wal: { compression: "gzip" }, data: { compression: "gzip", jobs: 7 } }),
    store("third", {}),
  ],
};
const repositories = archive.stores.map(({ name }) => ({ name, url: `/${name}` }));

/** What each repository is written with in the end, as the processes see it. */
function written(given: Parameters<typeof archiveSpecOf>[1]) {
  const spec = archiveSpecOf({ archive, repositories }, given);
  const opened = repositories.map(({ name }) => ({
    name,
    server: parseServerName("pg"),
    // Nothing is stored here.
    store: {} as ObjectStore,
    log: silentLog,
  }));
  return {
    wal: walTargets(spec, opened).map(({ codec }) => codec),
    base: [...formsOf(spec.repositories, "base", { codec: spec.backupCompression }).values()].map(
      ({ codec }) => codec,
    ),
    spec,
  };
}

test("each store of an archive has the compression that its own manifest says", () => {
  const { wal, base, spec } = written({ requireEmptyArchive: true });

  expect(wal).toEqual(["zstd", "gzip", "none"]);
  expect(base).toEqual(["gzip", "gzip", "none"]);
  // What is as usual is not said again.
  expect(spec.repositories[0]).toEqual(repositories[0]);
});

test("a Server's own compression is that of all its stores", () => {
  const { wal, base } = written({ requireEmptyArchive: true, wal: { compression: "lz4" } });

  expect(wal).toEqual(["lz4", "lz4", "lz4"]);
  expect(base).toEqual(["gzip", "gzip", "none"]);
});
