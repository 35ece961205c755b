import { describe, expect, test } from "vitest";
import { instanceStage } from "./testing/instance-stage.ts";

const show = (name: string) => `SELECT current_setting('${name}') AS value`;

describe("a specification that changes", () => {
  test("is taken up by a reload where PostgreSQL can, else when a restart is asked for", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const before = await instance.up();
    const { parameters } = instance.spec;

    await instance.respecify({ parameters: { ...parameters, work_mem: "7MB" } });
    await expect.poll(async () => instance.sql(show("work_mem"))).toEqual([{ value: "7MB" }]);
    const reloaded = await instance.until(
      ({ specVersion, postgres }) => specVersion === 2 && postgres !== undefined,
    );
    expect(reloaded.postgres).toMatchObject({ pid: before.postgres?.pid, pendingRestart: false });

    await instance.respecify({ parameters: { ...parameters, work_mem: "7MB", max_connections: "33" } });
    const pending = await instance.until(({ postgres }) => postgres?.pendingRestart === true);
    expect(pending.postgres?.pid).toBe(before.postgres?.pid);
    expect(await instance.sql(show("max_connections"))).toEqual([{ value: "20" }]);

    await instance.ask({ op: "restart" });
    const restarted = await instance.until(({ postgres }) => postgres !== undefined);
    expect(restarted.postgres?.pid).not.toBe(before.postgres?.pid);
    expect(restarted.postgres?.pendingRestart).toBe(false);
    expect(await instance.sql(show("max_connections"))).toEqual([{ value: "33" }]);
  });

  test("shows as pending when it is on the server's command line, also to a process that has not started it", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const before = await instance.up();
    await instance.kill();
    await instance.respecify({ listenAddresses: "127.0.0.1", port: 45_917 });
    await instance.spawn();

    const pending = await instance.until(({ postgres }) => postgres?.pendingRestart === true);
    expect(pending.postgres?.pid).toBe(before.postgres?.pid);
    await instance.ask({ op: "restart" });
    await instance.until(({ postgres }) => postgres?.pendingRestart === false);

    expect(await instance.sql(show("port"))).toEqual([{ value: "45917" }]);
    expect(await instance.sql(show("listen_addresses"))).toEqual([{ value: "127.0.0.1" }]);
  });

  test("can want the server stopped; the process goes on answering, and starts it when it is wanted again", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const before = await instance.up();

    await instance.respecify({ wanted: "stopped" });
    const stopped = await instance.until(({ phase }) => phase === "stopped");
    await expect(instance.ask({ op: "restart" })).rejects.toMatchObject({ code: "postgres-failed" });
    await expect(instance.ask({ op: "promote" })).rejects.toMatchObject({ code: "postgres-failed" });
    await instance.respecify({ wanted: "running" });
    const again = await instance.until(
      ({ phase, postgres }) => phase === "running" && postgres !== undefined,
    );

    expect(stopped).toMatchObject({ pid: before.pid, specVersion: 2 });
    expect(stopped.postgres).toBeUndefined();
    expect(again.postgres?.pid).not.toBe(before.postgres?.pid);
    expect(again.error).toBeUndefined();
  });

  test("can make the start fail, which is said and tried again, at once when it is put right", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    await instance.up();
    const { parameters } = instance.spec;
    await instance.respecify({ parameters: { ...parameters, shared_buffers: "nonsense" } });

    await expect(instance.ask({ op: "restart" })).rejects.toMatchObject({ code: "postgres-failed" });
    const failed = await instance.until(({ phase }) => phase === "failed");
    await instance.respecify({ parameters });
    const running = await instance.until(({ phase }) => phase === "running");

    expect(failed.error?.message).toContain("configuration file");
    expect(failed.retryAt).toBeDefined();
    expect(failed.bootstrapped).toBe(true);
    expect(running.error).toBeUndefined();
  });

  test("can give the instance an archive while it runs, and take it away again", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { archive } = instance.spec;
    const { archive: _none, ...without } = instance.spec;
    await instance.writeSpec(JSON.stringify(without));
    const before = await instance.up();
    await instance.sql("SELECT pg_switch_wal()");
    expect(before.archiving).toBeUndefined();

    await instance.respecify({ archive });
    await instance.until(({ archiving }) => archiving !== undefined);
    await instance.sql("CREATE TABLE t (x int)");
    await instance.sql("SELECT pg_switch_wal()");
    await instance.until(({ archiving }) => archiving?.lastArchived !== undefined);
    await instance.writeSpec(JSON.stringify({ ...without, version: 3 }));
    await instance.ask({ op: "configure" });

    const after = await instance.until(({ archiving }) => archiving === undefined);
    expect(after.archivingError).toBeUndefined();
    expect(after.postgres).toMatchObject({ pid: before.postgres?.pid, pendingRestart: false });
  });
});
