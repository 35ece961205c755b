import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { silentLog } from "../src/common/log.ts";
import { mib } from "../src/common/units.ts";
import type { Repository } from "../src/repository/repository.ts";
import { parseServerName } from "../src/repository/server-name.ts";
import { readWalInventory } from "../src/repository/wal-inventory.ts";
import { openFileStore } from "../src/storage/file/file-store.ts";
import { agentInTrouble, type AgentInTrouble } from "./support/agent-in-trouble.ts";
import { findGaps, readMarks, untilDrained } from "./support/archive-audit.ts";
import { tidemarkJson } from "./support/programs.ts";
import { serveAdopted, type RestoreReport } from "./support/restored.ts";
import { makeTables, readContents, wakeArchiver, writeSegments } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";
import type { Trouble } from "./support/troubled-store.ts";
import { until } from "./support/until.ts";

/*
 * Several repositories, some of them in trouble under load: acknowledgements follow the policy, memory and pg_wal stay
 * bounded where it is met, what is missing is brought there afterwards, and each repository restores to every row by itself.
 */

/** `TIDEMARK_REPOSITORIES_MINUTES=10` for so long a run of each scenario; the short one, with fewer troubles, is for every day. */
const minutes = Number(process.env["TIDEMARK_REPOSITORIES_MINUTES"] ?? 0);
const isLong = minutes > 0;

interface Scenario {
  readonly title: string;
  readonly policy: "all" | number;
  readonly repositories: number;
  /** One phase after the other: the trouble of each repository. */
  readonly phases: readonly (readonly Trouble[])[];
}

const scenarios: readonly Scenario[] = [
  {
    title: "any of two is enough while the other one hangs, is dead, slow, or refuses every second call",
    policy: 1,
    repositories: 2,
    phases: isLong
      ? [
          ["none", "hanging"],
          ["none", "dead"],
          ["none", "slow"],
          ["none", "every-second"],
        ]
      : [
          ["none", "hanging"],
          ["none", "every-second"],
        ],
  },
  {
    title: "two of three are enough, whichever they are",
    policy: 2,
    repositories: 3,
    phases: isLong
      ? [
          ["none", "none", "hanging"],
          ["dead", "none", "none"],
          ["none", "slow", "none"],
        ]
      : [["slow", "none", "none"]],
  },
  {
    title: "all of two must have what is acknowledged",
    policy: "all",
    repositories: 2,
    phases: isLong
      ? [
          ["none", "hanging"],
          ["dead", "none"],
          ["none", "slow"],
        ]
      : [["none", "hanging"]],
  },
];

/** Of the agent: at rest it has about 80 MiB. In hours of load the heap takes its time to be collected. */
const mostMemoryBytes = (isLong ? 320 : 256) * mib;
/** Where the policy is met PostgreSQL removes what it does not need; it keeps `min_wal_size`, and what was just written. */
const mostWalBytes = 160 * mib;

test.each(scenarios)("$title", { timeout: 240_000 + minutes * 240_000 }, async (scenario) => {
  const { policy, phases } = scenario;
  await using system = await startSystem({
    settings: { wal_keep_size: "0", max_wal_size: "64MB", min_wal_size: "8MB" },
  });
  const { server } = system;
  const names = Array.from({ length: scenario.repositories }, (_, index) => `repository-${index}`);
  const directories = await Promise.all(names.map(async (name) => server.folder.make(name)));
  const repositories = await Promise.all(directories.map(async (root, index) => repositoryAt(root, index)));
  await makeTables(server.sql);
  await using agent = await agentInTrouble(system, directories, policy);
  await backUp(system, directories);

  const phaseMs = isLong ? (minutes * 60_000) / phases.length : 2000;
  await using load = startLoad(system);
  const report: Record<string, unknown>[] = [];
  for (const phase of phases) {
    for (const [index, trouble] of phase.entries()) agent.trouble(index, trouble);
    const { problems, ...watched } = await watchFor(phaseMs, { system, agent, repositories, policy, phase });
    expect(problems).toEqual([]);
    for (const index of phase.keys()) agent.trouble(index, "none");
    if (!isLong) continue;
    const startedMs = performance.now();
    // Under load still, as it would be: what is missing is brought there besides.
    await untilHealed(agent, repositories.length);
    report.push({
      phase: phase.join(" "),
      ...watched,
      healedAfterMs: Math.round(performance.now() - startedMs),
    });
  }
  const rows = await load.stop();
  await untilDrained(server.dataDirectory, { wake: async () => wakeArchiver(server.sql) });
  await untilHealed(agent, repositories.length);

  expect(rows).toBeGreaterThan(10);
  const expected = await readContents(server.sql);
  for (const [index, directory] of directories.entries()) {
    const repository = repositories[index];
    if (repository === undefined) throw new Error(`no repository ${index}`);
    expect(await findGaps(repository, mib)).toEqual([]);
    expect(await restoredFrom(system, directory, index)).toEqual(expected);
  }
  if (isLong) console.log(`${scenario.title}: ${rows} rows\n${JSON.stringify(report, undefined, 1)}`);
});

async function repositoryAt(root: string, index: number): Promise<Repository> {
  const store = await openFileStore({ root });
  return { name: `r${index}`, server: parseServerName("main"), store, log: silentLog };
}

async function backUp(system: System, directories: readonly string[]): Promise<void> {
  const repositories = directories.flatMap((directory) => ["--repo", directory]);
  const where = ["-D", system.server.dataDirectory, "--server", "main", ...repositories];
  await tidemarkJson(["base", "create", ...where], { user: system.server.folder.user });
}

/** Writes segment after segment, each with a row, and lets PostgreSQL remove what it does not need. */
function startLoad({ server }: System) {
  const end = new AbortController();
  const run = async (): Promise<number> => {
    let id = 1;
    for (; !end.signal.aborted; id++) {
      await writeSegments(server.sql, 1, id);
      if (id % 10 === 0) await server.sql("CHECKPOINT");
      await sleep(isLong ? 50 : 20);
    }
    return id - 1;
  };
  const running = run();
  const stop = async () => {
    end.abort();
    return running;
  };
  return { stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

/** Looks again and again, for so long, at what must hold all the time. Gives what was seen, and what of it is wrong. */
async function watchFor(
  durationMs: number,
  given: {
    readonly system: System;
    readonly agent: AgentInTrouble;
    readonly repositories: readonly Repository[];
    readonly policy: "all" | number;
    readonly phase: readonly Trouble[];
  },
) {
  const { system, agent, repositories, policy, phase } = given;
  const needed = policy === "all" ? repositories.length : policy;
  const isSlow = phase.includes("slow");
  const isMet = phase.filter((trouble) => trouble === "none").length >= needed;
  const begun = await archivedFiles(system);
  const lastOf = async () => (await agent.status()).lastArchived?.name;
  // What is on its way when the trouble begins may still arrive.
  await sleep(300);
  const lastAtFirst = await lastOf();
  const problems: string[] = [];
  let memoryBytes = 0;
  let walBytes = 0;
  const endAtMs = performance.now() + durationMs;
  for (let look = 0; performance.now() < endAtMs; look++) {
    memoryBytes = Math.max(memoryBytes, (await agent.status()).rssBytes);
    walBytes = Math.max(walBytes, await walSize(system));
    // The longer there is, the fewer looks at everything.
    if (look % (isLong ? 40 : 4) === 0)
      problems.push(...(await acknowledgedTooEarly(system, repositories, needed)));
    await sleep(isLong ? 1000 : 200);
  }
  const archived = (await archivedFiles(system)) - begun;
  if (memoryBytes > mostMemoryBytes) problems.push(`the agent has ${memoryBytes} bytes of memory`);
  if (isMet && walBytes > mostWalBytes) problems.push(`pg_wal has ${walBytes} bytes`);
  if (isMet && archived < durationMs / 1000) problems.push(`only ${archived} files were archived`);
  if (!isMet && !isSlow && (await lastOf()) !== lastAtFirst) problems.push("a file was acknowledged");
  return {
    problems,
    memoryMib: Math.round(memoryBytes / mib),
    walMib: Math.round(walBytes / mib),
    archivedPerSecond: Number(((archived * 1000) / durationMs).toFixed(1)),
  };
}

/** What PostgreSQL takes for archived, still has, and fewer repositories than that hold. */
async function acknowledgedTooEarly(
  { server }: System,
  repositories: readonly Repository[],
  needed: number,
): Promise<readonly string[]> {
  const { done } = await readMarks(server.dataDirectory);
  const inventories = await Promise.all(repositories.map(async (repository) => readWalInventory(repository)));
  const held = inventories.map(({ segments }) => new Set<string>(segments.keys()));
  const segments = done.filter((name) => /^[0-9A-F]{24}$/.test(name));
  const early = segments.filter((name) => held.filter((names) => names.has(name)).length < needed);
  return early.map((name) => `${name} was acknowledged, and fewer than ${needed} repositories have it`);
}

async function archivedFiles({ server }: System): Promise<number> {
  const [row] = await server.sql<{ count: number }>(
    "SELECT archived_count::int AS count FROM pg_stat_archiver",
  );
  return row?.count ?? 0;
}

async function walSize({ server }: System): Promise<number> {
  const [row] = await server.sql<{ bytes: number }>("SELECT sum(size)::float8 AS bytes FROM pg_ls_waldir()");
  return row?.bytes ?? 0;
}

/** Until every repository has everything, but for what was just written. */
async function untilHealed(agent: AgentInTrouble, count: number): Promise<void> {
  await until(
    async () => {
      const { repositories } = await agent.status();
      const lagging = repositories.filter(
        ({ state, owedFiles, missingFiles = 0, lagFiles = 0 }) =>
          state !== "ok" || owedFiles + missingFiles > 2 || lagFiles > 20,
      );
      return lagging.length === 0 && repositories.length === count ? undefined : JSON.stringify(lagging);
    },
    { timeoutMs: 120_000 + minutes * 30_000, everyMs: 200 },
  );
}

async function restoredFrom({ path, server }: System, directory: string, index: number) {
  const dataDirectory = path(`restored-from-${index}`);
  const where = ["--repo", directory, "--server", "main"];
  const report = await tidemarkJson<RestoreReport>(["base", "restore", dataDirectory, ...where, "--start"], {
    user: server.folder.user,
  });
  await using restored = await serveAdopted(dataDirectory, report);
  return await restored.contents();
}
