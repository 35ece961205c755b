import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeError } from "../../src/common/errors.ts";
import { connect, type SqlConnection } from "../../src/postgres/connection.ts";
import { sendSignal } from "../../src/postgres/server-process-tree.ts";
import { controlPlane, type ControlPlaneUnderTest } from "../support/control-plane.ts";
import { until } from "../support/until.ts";

/** `TIDEMARK_CHAOS_MINUTES=10` for the long run; the short one is for every day. */
const chaosMs = Number(process.env["TIDEMARK_CHAOS_MINUTES"] ?? 0.75) * 60_000;
const seed = Number(process.env["TIDEMARK_CHAOS_SEED"] ?? Date.now() % 1_000_000);

const manifests = (store: string, suspend: boolean) => `apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata:
  name: local
spec:
  configuration:
    destinationPath: ${store}
    wal:
      compression: zstd
    data:
      compression: lz4
      immediateCheckpoint: true
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: pg
spec:
  instances: 2
  failoverDelay: 1
  imageName: ghcr.io/cloudnative-pg/postgresql:17
  storage:
    size: 1Gi
  bootstrap:
    initdb:
      walSegmentSize: 1
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      isWALArchiver: true
      parameters:
        barmanObjectName: local
---
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata:
  name: often
spec:
  schedule: "*/8 * * * * *"
  suspend: ${suspend}
  cluster:
    name: pg
  method: plugin
  pluginConfiguration:
    name: barman-cloud.cloudnative-pg.io
`;

interface BackupList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly phase?: string; readonly error?: string; readonly backupId?: string };
  }[];
}

test(
  `whatever is killed under load, nothing acknowledged is lost, no Backup hangs, and every completed one restores (seed ${seed})`,
  { timeout: chaosMs + 900_000 },
  async () => {
    const random = randomFrom(seed);
    await using plane = await controlPlane();
    const store = await plane.folder.make("store");
    let control = await plane.up(["-f", await plane.manifests("chaos", manifests(store, true))]);
    await plane.healthy("pg");
    const load = await startLoad(plane);
    await plane.ok(["apply", "-f", await plane.manifests("chaos", manifests(store, false))]);

    const killed = { control: 0, instance: 0, postgres: 0, standby: 0, primary: 0 };
    const victims = inRandomOrder(["control", "instance", "postgres", "standby", "primary"] as const, random);
    const endAt = performance.now() + chaosMs;
    const isOver = () => {
      const now = performance.now();
      // A victim may not have been there when its turn came: it gets another one.
      return now > endAt + 120_000 || (now > endAt && Object.values(killed).every((count) => count > 0));
    };
    while (!isOver()) {
      await sleep(1000 + random() * 3000);
      const victim = victims();
      if (victim === "control") {
        await control.end("SIGKILL");
        await sleep(random() * 2000);
        control = await plane.up();
        killed.control++;
      } else if (await killIn(plane, victim)) {
        killed[victim]++;
      }
    }
    const acknowledged = await load.stop();
    await plane.ok(["apply", "-f", await plane.manifests("chaos", manifests(store, true))]);
    await plane.healthy("pg");
    const present = await idsOn(plane);
    const backups = await finishedBackups(plane);
    const completed = backups.filter(({ status }) => status?.phase === "completed");

    expect(Math.min(...Object.values(killed))).toBeGreaterThan(0);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(acknowledged.filter((id) => !present.has(id))).toEqual([]);
    expect(completed.length).toBeGreaterThan(0);
    for (const { status } of completed) {
      const restored = await restoredIds(plane, store, status?.backupId ?? "");
      expect(restored.size).toBeGreaterThan(0);
      expect([...restored].filter((id) => !present.has(id))).toEqual([]);
    }
    const lines = backups.map(
      ({ metadata, status }) => `${metadata.name} ${status?.phase} ${status?.error ?? ""}`,
    );
    console.log(
      `chaos: seed ${seed}, killed ${JSON.stringify(killed)}, ${acknowledged.length} rows, ${completed.length} of ${backups.length} backups completed\n${lines.join("\n")}`,
    );
  },
);

interface Load {
  /** Ends it; the rows whose commit was answered. */
  stop(): Promise<readonly number[]>;
}

/** One row after the other, each in a transaction of its own, on whoever is the primary and can be reached. */
async function startLoad(plane: ControlPlaneUnderTest): Promise<Load> {
  const end = new AbortController();
  const acknowledged: number[] = [];
  const first = await plane.connect("pg");
  await first.query("CREATE TABLE t (id int PRIMARY KEY, filler text)");
  const run = async (): Promise<void> => {
    let connection: SqlConnection | undefined = first;
    for (let id = 1; !end.signal.aborted; id++) {
      try {
        connection ??= await plane.connect("pg");
        await connection.query(
          "INSERT INTO t SELECT $1, string_agg(md5(random()::text), '') FROM generate_series(1, 40)",
          [id],
        );
        acknowledged.push(id);
      } catch {
        await connection?.close();
        connection = undefined;
        await sleep(100);
      }
    }
    await connection?.close();
  };
  const running = run();
  return {
    stop: async () => {
      end.abort();
      await running;
      return acknowledged;
    },
  };
}

interface ClusterObject {
  readonly status?: {
    readonly phase?: string;
    readonly currentPrimary?: string;
    readonly instanceNames?: readonly string[];
  };
}

/** Kills -9 what is meant; `primary`: so that it can never be started again. False when there was nothing to kill. */
async function killIn(
  plane: ControlPlaneUnderTest,
  victim: "instance" | "postgres" | "standby" | "primary",
): Promise<boolean> {
  const { status } = (await plane.get<ClusterObject>("cluster", "pg").catch(() => undefined)) ?? {};
  const { currentPrimary = "pg-1", instanceNames = [], phase } = status ?? {};
  const standby = instanceNames.find((name) => name !== currentPrimary);
  const target = victim === "standby" ? standby : currentPrimary;
  if (target === undefined) return false;
  const folder = join(plane.state, "clusters/default/pg/instances", target);
  if (victim === "instance") {
    return killFrom(join(folder, "process.json"), (text) => (JSON.parse(text) as { pid: number }).pid);
  }
  if (victim === "primary") {
    // Nobody can take over from the last one.
    if (phase !== "Cluster in healthy state") return false;
    const control = join(folder, "data/global/pg_control");
    await rename(control, `${control}.lost`);
  }
  return killFrom(join(folder, "data/postmaster.pid"), (text) => Number(text.split("\n")[0]));
}

async function killFrom(path: string, pidOf: (text: string) => number): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => "");
  if (text === "") return false;
  return sendSignal(pidOf(text), "SIGKILL");
}

/** All of them, when none is under way any more. */
async function finishedBackups(plane: ControlPlaneUnderTest): Promise<BackupList["items"]> {
  let items: BackupList["items"] = [];
  await until(
    async () => {
      ({ items } = JSON.parse(await plane.ok(["get", "backups", "-o", "json"])) as BackupList);
      const open = items.filter(({ status }) => status?.phase !== "completed" && status?.phase !== "failed");
      return open.length === 0
        ? undefined
        : `under way: ${open.map(({ metadata, status }) => `${metadata.name} (${status?.phase}: ${status?.error})`).join(", ")}`;
    },
    { timeoutMs: 180_000, everyMs: 1000 },
  );
  return items;
}

/** The server may have been killed a moment ago, and nobody have noticed yet. */
async function idsOn(plane: ControlPlaneUnderTest): Promise<ReadonlySet<number>> {
  let found: ReadonlySet<number> = new Set();
  await until(
    async () => {
      try {
        await using connection = await plane.connect("pg");
        const rows = await connection.query<{ id: number }>("SELECT id FROM t");
        found = new Set(rows.map(({ id }) => id));
        return undefined;
      } catch (error) {
        return describeError(error);
      }
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
  return found;
}

async function restoredIds(
  plane: ControlPlaneUnderTest,
  store: string,
  id: string,
): Promise<ReadonlySet<number>> {
  const directory = join(await plane.folder.make(`restored-${id}`), "data");
  const where = ["--repo", store, "--server", "pg", "--backup", id, "--to-immediate"];
  const restored = JSON.parse(
    await plane.okWithoutState(["base", "restore", directory, ...where, "--start", "-o", "json"]),
  ) as {
    readonly recovery: { readonly connection: { readonly host: string; readonly port: number } };
  };
  const { host, port } = restored.recovery.connection;
  try {
    await using connection = await connect({ host, port, user: "postgres", database: "postgres" });
    const rows = await connection.query<{ id: number }>("SELECT id FROM t");
    return new Set(rows.map(({ id: row }) => row));
  } finally {
    await killFrom(join(directory, "postmaster.pid"), (text) => Number(text.split("\n")[0]));
  }
}

/** Each once before any comes again. */
function inRandomOrder<Item>(items: readonly Item[], random: () => number): () => Item {
  let left: Item[] = [];
  return () => {
    if (left.length === 0) left = [...items];
    const [item] = left.splice(Math.floor(random() * left.length), 1);
    return item as Item;
  };
}

/** mulberry32: small, and the same everywhere. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
