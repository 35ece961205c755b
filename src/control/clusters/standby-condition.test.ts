import { expect, test } from "vitest";
import type { InstanceStatus, StandbyTrouble } from "../../instance/instance-status.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { TimelineHistory } from "../../postgres/timeline-history.ts";
import { timelineId } from "../../postgres/timeline.ts";
import type { InstanceFacts } from "./cluster-facts.ts";
import { conditionOf, isReady } from "./standby-condition.ts";

/** Timeline 2 left timeline 1 at 0/5000000. */
const history: TimelineHistory = {
  timeline: timelineId(2),
  entries: [{ parentTimeline: timelineId(1), switchLsn: parseLsn("0/5000000"), reason: "" }],
};

interface Server {
  readonly role?: "primary" | "standby";
  readonly lsn?: string;
  readonly timeline?: number;
  readonly streams?: boolean;
  readonly trouble?: StandbyTrouble;
  readonly phase?: InstanceStatus["phase"];
}

function instance(name: string, server: Server): InstanceFacts {
  const { role = "standby", lsn = "0/6000000", timeline = 2, streams = false, trouble, phase } = server;
  const status: InstanceStatus = {
    pid: 10,
    startedAt: "2026-11-21T11:00:00Z",
    specVersion: 1,
    phase: phase ?? "running",
    postgres: {
      pid: 11,
      version: "17.10",
      role,
      systemIdentifier: "7",
      timeline,
      lsn,
      startedAt: "2026-11-21T11:00:01Z",
      pendingRestart: false,
      replication: streams ? [{ name: "primary", state: "streaming", lagBytes: 0 }] : [],
    },
    ...(trouble === undefined ? {} : { trouble }),
    backups: [],
  };
  return {
    name,
    number: 1,
    spec: undefined,
    dataDirectory: "/data",
    status,
    isProcessAlive: true,
    isServerAlive: true,
    shutDownAtLsn: undefined,
    history: role === "primary" ? history : undefined,
  };
}

const primary = instance("pg-1", { role: "primary" });
const refused: StandbyTrouble = { kind: "other", message: "the slot is gone" };

test.each<[string, Server, string]>([
  ["one that streams follows", { streams: true, lsn: "0/1000000" }, "follows"],
  ["one that does not stream is behind, however near", {}, "behind"],
  ["one that is refused is behind", { trouble: refused }, "behind"],
  [
    "one that is refused and has what its primary's history has not is lost",
    { trouble: refused, timeline: 1 },
    "lost",
  ],
  [
    "one on a timeline that its primary never was on is lost, when it is refused",
    { trouble: refused, timeline: 3 },
    "lost",
  ],
  ["one whose WAL has gone is lost", { trouble: { kind: "wal-removed", message: "gone" } }, "lost"],
  ["one that starts is behind", { phase: "starting" }, "behind"],
])("%s", (_title, server, kind) => {
  expect(conditionOf(instance("pg-2", server), primary).kind).toBe(kind);
});

test("while there is no primary, nobody can be asked to stream", () => {
  const down = instance("pg-1", { role: "primary", phase: "failed" });

  expect(isReady(instance("pg-2", { trouble: refused }), down)).toBe(true);
  expect(isReady(down, down)).toBe(false);
});

test("a standby that somebody promoted is lost once it was told what it is to be, and there is a primary", () => {
  const rogue = instance("pg-2", { role: "primary" });
  const role = { kind: "standby", host: "/run", port: 1 } as const;
  const told = { ...rogue, spec: { role, version: 1 } as InstanceFacts["spec"] };
  const notYet = { ...rogue, spec: { role, version: 2 } as InstanceFacts["spec"] };

  expect(conditionOf(told, primary)).toMatchObject({ kind: "lost", cause: "diverged" });
  expect(conditionOf(notYet, primary).kind).toBe("behind");
});
