import { describe, expect, test } from "vitest";
import type { AttachedSpec } from "../../instance/attached/attached-spec.ts";
import { decideAgent, type AgentDecisionFacts } from "./decide-agent.ts";
import type { AgentFacts } from "./local-servers.ts";
import { attachedStatus, serverView } from "./testing/sample-server.ts";

const nothing: AgentFacts = {
  spec: undefined,
  status: undefined,
  isAlive: false,
  restMs: 0,
  failure: undefined,
};

function facts(change: Partial<AgentDecisionFacts> = {}): AgentDecisionFacts {
  return {
    view: serverView(),
    problem: undefined,
    archive: {
      kind: "ok",
      value: {
        archive: { serverName: "main", policy: "all", method: undefined, stores: [] },
        repositories: [{ name: "store", url: "/backups" }],
      },
    },
    connection: { kind: "ok", value: { database: "postgres", sslMode: "disable" } },
    agent: nothing,
    ...change,
  };
}

/** The specification that is written for these facts. */
function specFor(given: AgentDecisionFacts): AttachedSpec {
  const action = decideAgent(given).actions.find(({ kind }) => kind === "write-spec");
  if (action?.kind !== "write-spec") throw new Error("no specification is written");
  return action.spec;
}

const spec = specFor(facts());
const running: AgentFacts = { ...nothing, spec, status: attachedStatus(), isAlive: true };
const kinds = (given: AgentDecisionFacts) => decideAgent(given).actions.map(({ kind }) => kind);
const unmounted = { reason: "NoDataDirectory", message: "there is none", isRefused: false };
const taken = { reason: "DataDirectoryTaken", message: "it is another's", isRefused: true };

describe("the process beside a server", () => {
  test("is told what to do, and started", () => {
    expect(decideAgent(facts())).toMatchObject({
      actions: [{ kind: "write-spec" }, { kind: "spawn" }],
      trouble: {
        phase: "Starting the agent",
        reason: "AgentNotRunning",
        message: "the agent is being started",
      },
    });
    expect(spec).toMatchObject({
      version: 1,
      server: "production/main",
      uid: "uid-of-main",
      dataDirectory: "/data",
      spoolDirectory: "/data.tidemark",
      archive: { server: "main", walCompression: "none", policy: "all", requireEmptyArchive: true },
    });
  });

  test("is left alone while it does what it shall", () => {
    expect(decideAgent(facts({ agent: running }))).toEqual({
      actions: [],
      trouble: undefined,
      afterMs: 30_000,
    });
  });

  test("is told of what has changed, with a version of its own, and not started twice", () => {
    const view = serverView({
      spoolDirectory: "/spool",
      wal: { compression: "zstd", maxParallel: 2 },
      backup: { compression: "lz4", jobs: 3, immediateCheckpoint: true },
    });
    const given = facts({ view, agent: running });

    expect(kinds(given)).toEqual(["write-spec"]);
    expect(specFor(given)).toMatchObject({
      version: 2,
      spoolDirectory: "/spool",
      archive: {
        walCompression: "zstd",
        walConcurrency: 2,
        backupCompression: "lz4",
        backupJobs: 3,
        fastCheckpoint: true,
      },
    });
  });

  test("is told again when it follows an older specification than the one that was written", () => {
    const agent = { ...running, spec: { ...spec, version: 2 } };

    expect(decideAgent(facts({ agent }))).toMatchObject({
      actions: [{ kind: "configure" }],
      trouble: undefined,
      afterMs: 5000,
    });
  });

  test("goes on in an archive that is not empty when an annotation says so", () => {
    const view = serverView({}, { "cnpg.io/skipEmptyWalArchiveCheck": "enabled" });

    expect(specFor(facts({ view })).archive.requireEmptyArchive).toBe(false);
  });

  test("is started again after a while when it has ended, and why it cannot be started is said", () => {
    const ended = { ...running, status: undefined, isAlive: false };
    const resting = { ...ended, restMs: 2000, failure: "it ended with status 3" };

    expect(kinds(facts({ agent: ended }))).toEqual(["spawn"]);
    expect(decideAgent(facts({ agent: resting }))).toMatchObject({
      actions: [],
      trouble: { reason: "AgentFailed", message: "it ended with status 3" },
      afterMs: 2000,
    });
  });

  test("of a Server that was deleted and made again is ended first, with all it knew", () => {
    const agent = { ...running, spec: { ...spec, uid: "another" } };

    expect(decideAgent(facts({ agent }))).toMatchObject({
      actions: [{ kind: "stop", forget: true }],
      afterMs: 0,
    });
  });

  test("ends when the data directory is another's, and is not started while it is not there", () => {
    expect(decideAgent(facts({ agent: running, problem: taken }))).toMatchObject({
      actions: [{ kind: "stop", forget: false }],
      trouble: { phase: "Refused", reason: "DataDirectoryTaken" },
    });
    expect(kinds(facts({ problem: taken }))).toEqual([]);
    expect(decideAgent(facts({ problem: unmounted }))).toMatchObject({
      actions: [],
      trouble: { phase: "Waiting for the data directory", message: "there is none" },
    });
    expect(kinds(facts({ agent: running, problem: unmounted }))).toEqual([]);
  });

  test("goes on as it was told before while something that the manifest names is missing", () => {
    const incomplete = {
      archive: { kind: "missing", problems: ["no store"] },
      connection: { kind: "missing", problems: ["no password"] },
    } as const;
    const ended = { ...running, status: undefined, isAlive: false };

    expect(decideAgent(facts({ ...incomplete, agent: running }))).toMatchObject({
      actions: [],
      trouble: { reason: "Incomplete", message: "no store; no password" },
    });
    expect(kinds(facts({ ...incomplete, agent: ended }))).toEqual(["spawn"]);
    expect(kinds(facts(incomplete))).toEqual([]);
  });
});
