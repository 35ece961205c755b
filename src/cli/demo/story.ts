import { startPrefetcher } from "../../agent/prefetcher.ts";
import { runAgent } from "../../agent/run-agent.ts";
import { archiveCommandLine, prefetchRootOf, restoreCommandLine } from "../../agent/shell-text.ts";
import { spoolRootOf } from "../../agent/spool.ts";
import { createBackup } from "../../backup/create-backup.ts";
import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";
import { createRestorePoint, switchWal } from "../../postgres/backup-functions.ts";
import { connect, type SqlConnection } from "../../postgres/connection.ts";
import { removeRecoverySettings } from "../../postgres/recovery-settings-file.ts";
import { canonicalTime } from "../../postgres/recovery-settings-time.ts";
import { initializeCluster } from "../../postgres/server-initialize.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import { startServer } from "../../postgres/server.ts";
import { readWalInventory } from "../../repository/wal-inventory.ts";
import { planRestore, type RestorePlan } from "../../restore/plan-restore.ts";
import { summarizePlan } from "../../restore/plan-summary.ts";
import { runRestore } from "../../restore/run-restore.ts";
import { startAndVerify } from "../../restore/start-and-verify.ts";
import { readControlFile } from "../local-server.ts";
import { formatRestorePlan } from "../restore-plan-text.ts";
import { selfCommand } from "../self-command.ts";
import type { Narrator } from "./narrator.ts";
import type { Stage } from "./stage.ts";

/** What a table holds, as three numbers that must agree after the rescue. */
interface Fingerprint {
  readonly rows: string;
  readonly total: string;
  readonly digest: string;
}

const fingerprintSql = `SELECT count(*)::text AS rows, sum(amount)::text AS total,
  md5(string_agg(id || ':' || payer || ':' || amount || ':' || paid_at, ',' ORDER BY id)) AS digest FROM payments`;

/** The story, scene by scene. */
export class Demo {
  readonly #stage: Stage;
  readonly #tell: Narrator;
  readonly #signal: AbortSignal;

  constructor(stage: Stage, tell: Narrator, signal: AbortSignal) {
    this.#stage = stage;
    this.#tell = tell;
    this.#signal = signal;
  }

  async play(keep: boolean): Promise<void> {
    const began = performance.now();
    const { binaries } = this.#stage;
    this.#tell.title(`Tidemark: a rescue, on a real PostgreSQL ${binaries.version}`);
    const stop = new AbortController();
    const agentSignal = AbortSignal.any([this.#signal, stop.signal]);
    await using server = await this.#openScene();
    const agent = this.#startAgent(agentSignal);
    try {
      await using sql = await connect({ ...server.connection, applicationName: "demo" });
      await this.#photo(sql);
      const good = await this.#film(sql);
      const lastGoodTime = await this.#accident(sql);
      const plan = await this.#plan(lastGoodTime);
      await this.#rescue(plan, good, keep);
    } finally {
      stop.abort();
      await agent;
    }
    this.#tell.say("");
    this.#tell.say(`All of it took ${formatDuration(performance.now() - began)}.`);
    if (keep) this.#sayWhatIsLeft(server);
    else this.#tell.say("Everything has been removed again (--keep leaves it).");
  }

  async #openScene(): Promise<RunningServer> {
    const { binaries, dataDirectory, spoolDirectory } = this.#stage;
    this.#tell.scene(1, "A server, and an agent beside it");
    return this.#tell.step("initialized a cluster with page checksums and started it", async () => {
      await initializeCluster({ binaries, dataDirectory, dataChecksums: true, sync: false });
      const { systemIdentifier } = await readControlFile(dataDirectory);
      return startServer({
        binaries,
        dataDirectory,
        signal: this.#signal,
        settings: {
          archive_mode: "on",
          archive_command: archiveCommandLine(spoolRootOf(spoolDirectory, systemIdentifier)),
          timezone: "UTC",
        },
      });
    });
  }

  #startAgent(signal: AbortSignal): Promise<void> {
    const { dataDirectory, spoolDirectory, repository, log } = this.#stage;
    const running = runAgent({
      dataDirectory,
      spoolDirectory,
      targets: [{ repository, codec: "zstd" }],
      pushCommand: selfCommand(["wal", "push"], { repo: [repository.store.url], server: repository.server }),
      log,
      signal,
    });
    // Observed again by whoever stops the agent; until then a failure shows as WAL that is not archived.
    running.catch(() => undefined);
    return running;
  }

  async #photo(sql: SqlConnection): Promise<void> {
    const { repository, log } = this.#stage;
    await sql.query(`CREATE TABLE payments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payer text NOT NULL,
      amount numeric(10,2) NOT NULL, paid_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
    await this.#tell.step("200,000 payments are in the books", async () =>
      sql.query(
        `INSERT INTO payments (payer, amount) SELECT md5(n::text), (n % 9973) / 100.0 FROM generate_series(1, 200000) n`,
      ),
    );
    this.#tell.scene(2, "The photo: a base backup");
    const backup = await createBackup({
      repositories: [repository],
      connection: sql,
      options: { name: "before-the-accident", fast: true },
      clock: systemClock,
      log,
      signal: this.#signal,
    });
    const { manifest } = backup;
    this.#tell.say(
      `backup ${backup.id}: ${formatBytes(manifest.dataBytes)} in ${manifest.fileCount} files, stored as ${formatBytes(backup.storedBytes)}, page checksums ${manifest.pagesVerified ? "verified" : "off"} (${formatDuration(backup.durationMs)})`,
    );
  }

  async #film(sql: SqlConnection): Promise<Fingerprint> {
    this.#tell.scene(3, "The film: life goes on, WAL is archived");
    for (const payer of ["Ada", "Grace", "Edsger", "Barbara", "Alan"]) {
      const [row] = await sql.query<{ paid_at: Date; amount: string }>(
        "INSERT INTO payments (payer, amount) VALUES ($1, 42) RETURNING paid_at, amount",
        [payer],
      );
      if (row !== undefined) this.#tell.say(`${canonicalTime(row.paid_at)}  ${payer} pays ${row.amount}`);
      await systemClock.sleep(150, this.#signal);
    }
    return fingerprint(sql);
  }

  /** Returns the last good moment. */
  async #accident(sql: SqlConnection): Promise<string> {
    this.#tell.scene(4, "The accident");
    const [before] = await sql.query<{ now: Date }>("SELECT clock_timestamp() AS now");
    const lastGoodTime = canonicalTime(before?.now ?? new Date());
    await systemClock.sleep(1000, this.#signal);
    await sql.query("INSERT INTO payments (payer, amount) VALUES ('Mallory', -9999999)");
    this.#tell.bad("a row too many: Mallory pays -9999999.00");
    await sql.query("DROP TABLE payments");
    this.#tell.bad("DROP TABLE payments; the table is gone");
    await createRestorePoint(sql, "after_the_accident");
    await switchWal(sql);
    await this.#tell.step("the WAL of all that is in the archive", async () => this.#waitForArchive(sql));
    return lastGoodTime;
  }

  async #waitForArchive(sql: SqlConnection): Promise<void> {
    const [row] = await sql.query<{ name: string }>(
      "SELECT pg_walfile_name(pg_current_wal_lsn() - 1) AS name",
    );
    const deadline = systemClock.monotonicMs() + 30_000;
    while (systemClock.monotonicMs() < deadline) {
      const { segments } = await readWalInventory(this.#stage.repository, this.#signal);
      if ([...segments.keys()].some((name) => name >= (row?.name ?? ""))) return;
      await systemClock.sleep(50, this.#signal);
    }
    throw new EngineError("wal-timeout", `WAL segment "${row?.name}" was not archived within 30 s`);
  }

  async #plan(lastGoodTime: string): Promise<RestorePlan> {
    const { repository, restoredDirectory } = this.#stage;
    this.#tell.scene(5, "The plan: what a restore would do, before a byte is copied");
    this.#tell.quote(`tidemark base restore ${restoredDirectory} --to-time '${lastGoodTime}' --start`);
    const plan = await planRestore({
      repositories: [repository],
      request: {
        target: { kind: "time", time: lastGoodTime, inclusive: true },
        timeline: "latest",
        backup: "auto",
      },
      signal: this.#signal,
    });
    if (plan.kind === "unreachable")
      throw new EngineError("target-unreachable", plan.reason, { hint: plan.hint });
    this.#tell.quote(formatRestorePlan(summarizePlan(plan, [])));
    return plan;
  }

  async #rescue(plan: RestorePlan, good: Fingerprint, keep: boolean): Promise<void> {
    const { repository, restoredDirectory, binaries, log } = this.#stage;
    this.#tell.scene(6, "The rescue");
    const root = prefetchRootOf(restoredDirectory);
    const restored = await runRestore({
      plan,
      dataDirectory: restoredDirectory,
      tablespaceMap: new Map(),
      recovery: { restoreCommand: restoreCommandLine(root) },
      log,
      signal: this.#signal,
    });
    this.#tell.say(`unpacked ${formatBytes(restored.dataBytes)} (${formatDuration(restored.durationMs)})`);
    await using prefetcher = await startPrefetcher({
      root,
      repositories: [repository],
      walSegmentSizeBytes: plan.recovery.backup.info.walSegmentSizeBytes,
      fetchCommand: selfCommand(["wal", "fetch"], {
        repo: [repository.store.url],
        server: repository.server,
      }),
      log,
    });
    const recovery = await startAndVerify({
      plan,
      start: { binaries, dataDirectory: restoredDirectory },
      signal: this.#signal,
    });
    this.#tell.say(
      `replayed the WAL; PostgreSQL stopped ${recovery.stopReason} (${formatDuration(recovery.durationMs)})`,
    );
    const { server } = recovery;
    if (server === undefined) throw new EngineError("postgres-failed", "the restored server is not running");
    try {
      await using sql = await connect({ ...server.connection, applicationName: "demo" });
      this.#compare(good, await fingerprint(sql), await countMallory(sql));
      await removeRecoverySettings(restoredDirectory);
    } finally {
      await prefetcher[Symbol.asyncDispose]();
      if (!keep) await server.stop("fast");
      else server.release();
    }
    if (keep)
      this.#tell.say(
        `the restored server runs: psql -h ${server.connection.host} -U ${server.connection.user} postgres`,
      );
  }

  #compare(good: Fingerprint, restored: Fingerprint, mallory: number): void {
    const same =
      good.rows === restored.rows && good.total === restored.total && good.digest === restored.digest;
    if (!same || mallory !== 0) {
      throw new EngineError(
        "target-missed",
        `the restored table holds ${restored.rows} rows, sum ${restored.total}, but before the accident it was ${good.rows} rows, sum ${good.total}`,
      );
    }
    this.#tell.good(
      `${restored.rows} rows, sum ${restored.total}, md5 ${restored.digest}: as before the accident`,
    );
    this.#tell.good("Mallory's row is not there");
  }

  #sayWhatIsLeft(server: RunningServer): void {
    const { folder, dataDirectory, restoredDirectory } = this.#stage;
    this.#tell.say(`Left for you in ${folder}:`);
    this.#tell.say(`  data       the damaged server (stopped now): pg_ctl -D ${dataDirectory} start`);
    this.#tell.say(
      `  restored   the rescued one, running; stop it with: kill -INT $(head -1 ${restoredDirectory}/postmaster.pid)`,
    );
    this.#tell.say(`  repository tidemark base list --repo ${folder}/repository --server demo`);
    this.#tell.say(`  logs       ${server.logFile}, ${restoredDirectory}.log`);
  }
}

async function fingerprint(sql: SqlConnection): Promise<Fingerprint> {
  const [row] = await sql.query<{ rows: string; total: string; digest: string }>(fingerprintSql);
  if (row === undefined) throw new EngineError("postgres-failed", "the payments table gave no fingerprint");
  return row;
}

async function countMallory(sql: SqlConnection): Promise<number> {
  const [row] = await sql.query<{ count: string }>("SELECT count(*) FROM payments WHERE payer = 'Mallory'");
  return Number(row?.count);
}
