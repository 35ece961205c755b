import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { bootstrapLab, newCluster, sqlOn } from "../bootstrap/testing/bootstrap-lab.ts";
import { pushCommand, writeCommandConfiguration } from "./command-configuration.ts";

const run = promisify(execFile);
const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

test("a WAL file is archived by the command alone, run as PostgreSQL would, without the instance's process", async () => {
  await using lab = await bootstrapLab();
  const repository = await lab.folder.make("repository");
  const instance = await lab.instance("pg-1", newCluster, {
    archive: {
      server: "main",
      repositories: [{ url: repository }],
      walCompression: "gzip",
      policy: "all",
      backupCompression: "gzip",
      fastCheckpoint: true,
      requireEmptyArchive: true,
      tags: {},
    },
  });
  await instance.bootstrap();
  await writeCommandConfiguration(instance.folder, instance.spec, [process.execPath, main]);
  const server = await instance.serve();
  const [row] = await sqlOn<{ segment: string }>(
    server,
    "SELECT pg_walfile_name(pg_current_wal_lsn()) AS segment",
  );
  await sqlOn(server, "SELECT pg_create_restore_point('x'), pg_switch_wal()");
  const { user } = lab.folder;

  const [program = "", ...words] = pushCommand([process.execPath, main], instance.folder);
  await run(program, [...words, join("pg_wal", row!.segment)], {
    cwd: instance.folder.data,
    env: { PATH: "/usr/bin:/bin" },
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });

  const stored = join(repository, "main", "wals", row!.segment.slice(0, 16));
  expect(await readdir(stored)).toEqual([`${row!.segment}.gz`]);
});
