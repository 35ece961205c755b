import { access } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { Secret } from "../../common/log.ts";
import { connect } from "../../postgres/connection.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import { majorsUnderTest } from "../../postgres/testing/majors-under-test.ts";
import { bootstrapLab, newCluster, sqlOn } from "../bootstrap/testing/bootstrap-lab.ts";
import { ownParameters } from "./own-parameters.ts";
import { writeConfiguration } from "./write-configuration.ts";

/** What nobody can change but by a restart with another specification. */
const decided = [
  "archive_command",
  "archive_mode",
  "config_file",
  "hba_file",
  "hot_standby",
  "ident_file",
  "listen_addresses",
  "log_destination",
  "logging_collector",
  "port",
  "primary_slot_name",
  "recovery_target_name",
  "restore_command",
  "unix_socket_directories",
];

async function decidedOn(server: RunningServer): Promise<Record<string, string>> {
  const rows = await sqlOn<{ name: string; setting: string }>(
    server,
    `SELECT name, setting FROM pg_settings WHERE name IN ('${decided.join("', '")}') AND source IN ('command line', 'override')`,
  );
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

describe.each(majorsUnderTest())("an instance's server of PostgreSQL %i", (major) => {
  test("starts with what the instance decides, and ALTER SYSTEM changes none of it", async () => {
    await using lab = await bootstrapLab(major);
    const instance = await lab.instance("pg-1", newCluster);
    await instance.bootstrap();
    const server = await instance.serve();
    const before = await decidedOn(server);

    const known = await sqlOn<{ name: string }>(
      server,
      `SELECT name FROM pg_settings WHERE name IN ('${[...ownParameters].join("', '")}') AND context <> 'internal'`,
    );
    for (const { name } of known) {
      const value = /port|hot_standby|logging_collector|inclusive/.test(name) ? "off" : "latest";
      await sqlOn(server, `ALTER SYSTEM SET ${name} = '${name === "port" ? "1" : value}'`).catch(
        () => undefined,
      );
    }
    server.reload();
    await setTimeout(300);
    expect(await decidedOn(server)).toEqual(before);
    await server.stop("fast");
    const again = await instance.serve();

    expect(Object.keys(before).toSorted()).toEqual(decided);
    expect(await decidedOn(again)).toEqual(before);
    expect(await sqlOn(again, "SHOW primary_conninfo")).toEqual([{ primary_conninfo: "" }]);
  });
});

describe("an instance's server", () => {
  test("takes up parameters by a reload", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", newCluster);
    await instance.bootstrap();
    const server = await instance.serve();
    const spec = { ...instance.spec, parameters: { ...instance.spec.parameters, work_mem: "5MB" } };

    await writeConfiguration({
      folder: instance.folder,
      spec,
      clock: systemClock,
      signal: new AbortController().signal,
    });
    server.reload();

    await expect
      .poll(async () => sqlOn(server, "SHOW work_mem"), { timeout: 10_000 })
      .toEqual([{ work_mem: "5MB" }]);
  });

  test("says yes to its WAL while nothing is to be archived, and asks the agent from the moment it is", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", newCluster);
    await instance.bootstrap();
    const server = await instance.serve();
    const archiver = async () =>
      (
        await sqlOn<{ archived: string; failed: string }>(
          server,
          "SELECT archived_count::text AS archived, failed_count::text AS failed FROM pg_stat_archiver",
        )
      )[0];
    const fill = "SELECT pg_create_restore_point('x'), pg_switch_wal()";

    await sqlOn(server, fill);
    await expect.poll(archiver, { timeout: 20_000 }).toEqual({ archived: "1", failed: "0" });
    const archive = {
      server: "pg",
      repositories: [{ url: await lab.folder.make("repository") }],
      walCompression: "zstd",
      policy: "all",
      backupCompression: "zstd",
      fastCheckpoint: true,
      requireEmptyArchive: true,
      tags: {},
    } as const;
    await writeConfiguration({
      folder: instance.folder,
      spec: { ...instance.spec, archive: { ...archive, repositories: [...archive.repositories] } },
      clock: systemClock,
      signal: new AbortController().signal,
    });
    await expect(access(join(instance.folder.configuration, "archiving-is-off"))).rejects.toMatchObject({
      code: "ENOENT",
    });
    await sqlOn(server, fill);

    // There is no agent, so it fails, and is asked again.
    await expect.poll(async () => Number((await archiver())?.failed), { timeout: 20_000 }).toBeGreaterThan(0);
    expect((await archiver())?.archived).toBe("1");
  });

  test("lets the operating system's user in as superuser over the socket, and others by password over TCP", async () => {
    await using lab = await bootstrapLab();
    const port = await freePort();
    const instance = await lab.instance("pg-1", newCluster, { listenAddresses: "localhost", port });
    await instance.bootstrap();
    const server = await instance.serve();
    await sqlOn(server, "ALTER ROLE app PASSWORD 'geheim'");
    const overTcp = async (password: string) => {
      await using session = await connect({
        host: "127.0.0.1",
        port,
        user: "app",
        database: "app",
        password: new Secret(password),
      });
      return await session.query("SELECT current_user::text AS who");
    };

    expect(
      await sqlOn(
        server,
        "SELECT current_user::text AS who, usesuper FROM pg_user WHERE usename = current_user",
      ),
    ).toEqual([{ who: "postgres", usesuper: true }]);
    expect(await overTcp("geheim")).toEqual([{ who: "app" }]);
    await expect(overTcp("falsch")).rejects.toMatchObject({ code: "postgres-failed" });
    await expect(sqlOn(server, "SELECT 1", { user: "app", database: "app" })).rejects.toMatchObject({
      code: "postgres-failed",
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
