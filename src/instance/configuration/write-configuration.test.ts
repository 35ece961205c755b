import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { parseSystemIdentifier } from "../../postgres/system-identifier.ts";
import { readFixture } from "../../postgres/testing/fixtures.ts";
import { testFolder } from "../../postgres/testing/test-server.ts";
import { readConfig } from "../../cli/config.ts";
import { newCluster, testSpec } from "../bootstrap/testing/bootstrap-lab.ts";
import { instanceFolder, type InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { fetchCommand, pushCommand, writeCommandConfiguration } from "./command-configuration.ts";
import { startSettings } from "./start-settings.ts";
import { writeConfiguration } from "./write-configuration.ts";

const archive: NonNullable<InstanceSpec["archive"]> = {
  server: "pg",
  repositories: [
    { name: "near", url: "/srv/backup", maxBytesPerSecond: 1024 },
    { url: "s3://bucket/path", credentialsFile: "/run/it's.json" },
  ],
  walCompression: "zstd",
  walConcurrency: 3,
  policy: "all",
  backupCompression: "gzip",
  fastCheckpoint: true,
  requireEmptyArchive: true,
  tags: {},
};

async function instance(): Promise<{ folder: InstanceFolder; spec: InstanceSpec } & AsyncDisposable> {
  const place = await testFolder();
  const folder = instanceFolder(await place.make("instance"));
  const spec = testSpec({ name: "pg-1", bootstrap: newCluster, port: 5433, socketDirectory: "/run/pg" });
  return { folder, spec, [Symbol.asyncDispose]: async () => place[Symbol.asyncDispose]() };
}

const program = ["node", "main.js"];

const write = async (folder: InstanceFolder, spec: InstanceSpec) =>
  writeConfiguration({ folder, spec, clock: systemClock, signal: new AbortController().signal });

describe("the configuration of an instance", () => {
  test("is written for its owner alone, and only when it differs", async () => {
    await using place = await instance();
    const { folder, spec } = place;

    expect(await write(folder, { ...spec, archive })).toMatchObject({ changed: true });
    const names = (await readdir(folder.configuration)).toSorted();
    const before = await stat(join(folder.configuration, "postgresql.conf"));
    expect(await write(folder, { ...spec, archive })).toMatchObject({ changed: false });
    const after = await stat(join(folder.configuration, "postgresql.conf"));

    expect(names).toEqual(["pg_hba.conf", "pg_ident.conf", "postgresql.conf"]);
    for (const name of names) {
      const { mode, uid } = await stat(join(folder.configuration, name));
      expect([name, mode & 0o777, uid]).toEqual([name, 0o600, (await stat(folder.root)).uid]);
    }
    expect((await stat(folder.configuration)).mode & 0o777).toBe(0o700);
    expect(after.ino).toBe(before.ino);
    await chmod(join(folder.configuration, "pg_hba.conf"), 0o644);
    expect(await write(folder, { ...spec, archive })).toMatchObject({ changed: true });
    expect((await stat(join(folder.configuration, "pg_hba.conf"))).mode & 0o777).toBe(0o600);
  });

  test("puts the specification's lines behind those that the instance itself connects by", async () => {
    await using place = await instance();
    const { folder, spec } = place;

    await write(folder, { ...spec, hba: ["hostssl all all 10.0.0.0/8 cert"], ident: ["mine  ada  app"] });
    const lines = async (name: string) =>
      (await readFile(join(folder.configuration, name), "utf8"))
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => line.replace(/ +/g, " "));

    expect(await lines("pg_hba.conf")).toEqual([
      "local all all peer map=tidemark",
      "local replication all peer map=tidemark",
      "hostssl all all 10.0.0.0/8 cert",
      "host all all 127.0.0.1/32 scram-sha-256",
      "host all all ::1/128 scram-sha-256",
      "host replication all 127.0.0.1/32 scram-sha-256",
      "host replication all ::1/128 scram-sha-256",
    ]);
    const ident = await lines("pg_ident.conf");
    expect(ident[0]).toBe('tidemark "root" "postgres"');
    expect(ident.slice(-2)).toEqual(["tidemark /^(.*)$ \\1", "mine ada app"]);
  });

  test("turns archiving on and off by a file that the archive command looks for", async () => {
    await using place = await instance();
    const { folder, spec } = place;

    await write(folder, spec);
    expect(await readdir(folder.configuration)).toContain("archiving-is-off");
    await write(folder, { ...spec, archive });
    expect(await readdir(folder.configuration)).not.toContain("archiving-is-off");
  });

  test("gives a standby at least what its control file says, and takes out what ALTER SYSTEM may not say", async () => {
    await using place = await instance();
    const { folder, spec } = place;
    await mkdir(join(folder.data, "global"), { recursive: true });
    await writeFile(join(folder.data, "global", "pg_control"), await readFixture(17, "pg_control"));
    const auto = join(folder.data, "postgresql.auto.conf");
    await writeFile(auto, "work_mem = '1MB'\nPrimary_Conninfo = 'host=elsewhere'\nport = '1'\n");
    const standby = {
      ...spec,
      role: { kind: "standby", host: "/run/pg", port: 5432 },
      parameters: { max_connections: "1" },
    } as const;

    const { raised } = await write(folder, standby);

    expect(Number(raised["max_connections"])).toBeGreaterThan(1);
    expect(await readFile(auto, "utf8")).toBe("work_mem = '1MB'\n");
    expect((await write(folder, { ...standby, role: { kind: "primary" } })).raised).toEqual({});
  });
});

describe("what a server is told when it is started", () => {
  const system = parseSystemIdentifier("7300000000000000001");

  test("names nothing that lies in the data directory, and holds no password", async () => {
    await using place = await instance();
    const { folder, spec } = place;

    const settings = startSettings(folder, { ...spec, listenAddresses: "localhost" }, system);

    expect(settings).toMatchObject({
      config_file: join(folder.configuration, "postgresql.conf"),
      hba_file: join(folder.configuration, "pg_hba.conf"),
      ident_file: join(folder.configuration, "pg_ident.conf"),
      port: "5433",
      listen_addresses: "localhost",
      unix_socket_directories: "/run/pg",
      archive_mode: "on",
      restore_command: `/bin/sh ${join(folder.configuration, "restore.sh")} "%p" %f || exit 1`,
      recovery_target_time: "",
      recovery_target_timeline: "latest",
      primary_slot_name: "tidemark_pg_1",
    });
    expect(JSON.stringify(settings)).not.toContain(folder.data);
    expect(settings["primary_conninfo"]).toBeUndefined();
    expect(settings["archive_command"]).toContain(join(folder.spool, "7300000000000000001", "ack"));
  });

  test("is the same whether the instance archives or not, and whatever its role is", async () => {
    await using place = await instance();
    const { folder, spec } = place;
    const plain = startSettings(folder, spec, system);

    expect(startSettings(folder, { ...spec, archive }, system)).toEqual(plain);
    const role = { kind: "standby", host: "/run/other", port: 1 } as const;
    expect(startSettings(folder, { ...spec, role }, system)).toEqual(plain);
  });

  test("differs between versions only where they know a parameter or not", async () => {
    await using place = await instance();
    const { folder, spec } = place;
    const names = (major: number) => Object.keys(startSettings(folder, { ...spec, major }, system));

    expect(names(13)).toContain("promote_trigger_file");
    expect(names(14)).not.toContain("archive_library");
    expect(names(15)).toEqual(expect.arrayContaining(["archive_library", "promote_trigger_file"]));
    expect(names(18)).not.toContain("promote_trigger_file");
  });
});

describe("the configuration of the commands that PostgreSQL runs", () => {
  const recovery: InstanceSpec["bootstrap"] = {
    kind: "recovery",
    server: "origin",
    repositories: archive.repositories,
    backup: "auto",
    timeline: "latest",
    target: { kind: "latest" },
    tablespaces: {},
  };

  test("is one that the command line reads", async () => {
    await using place = await instance();
    const { folder, spec } = place;

    await writeCommandConfiguration(folder, { ...spec, archive, bootstrap: recovery }, program);
    const push = pushCommand(program, folder);
    const fetch = fetchCommand(program, folder);

    expect(push.slice(0, -1)).toEqual(["node", "main.js", "wal", "push", "--config"]);
    expect(fetch.slice(0, -1)).toEqual(["node", "main.js", "wal", "fetch", "--config"]);
    expect(await readConfig(push.at(-1)!)).toEqual({
      server: "pg",
      repositories: archive.repositories,
      postgres: { dataDirectory: folder.data },
      wal: { compression: "zstd", concurrency: 3, policy: "all" },
      spoolDirectory: folder.spool,
    });
    expect(await readConfig(fetch.at(-1)!)).toEqual({
      server: "origin",
      repositories: archive.repositories,
    });
    expect(await readConfig(join(folder.configuration, "standby.json"))).toEqual({
      server: "pg",
      repositories: archive.repositories,
    });
    for (const path of [push.at(-1)!, fetch.at(-1)!]) expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("goes when there is no use for it any more", async () => {
    await using place = await instance();
    const { folder, spec } = place;

    await writeCommandConfiguration(folder, { ...spec, archive, bootstrap: recovery }, program);
    await writeCommandConfiguration(folder, spec, program);

    expect(await readdir(folder.configuration)).toEqual(["restore.sh"]);
  });
});
