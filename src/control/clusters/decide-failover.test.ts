import { expect, test } from "vitest";
import type { InstanceStatus, StandbyTrouble, WalRescueStatus } from "../../instance/instance-status.ts";
import { phases } from "./cluster-status.ts";
import { cluster, decide, instance, now, running } from "./testing/sample-facts.ts";

const view = cluster({ instances: 3 });
const downSince = "2026-11-21T11:59:00Z";
const dead = instance(view, 1, { status: undefined, isProcessAlive: false, isServerAlive: false });

function standby(
  number: number,
  position: { readonly received: string; readonly replayed?: string; readonly timeline?: number },
  more: { readonly trouble?: StandbyTrouble; readonly rescue?: WalRescueStatus } = {},
) {
  const status: InstanceStatus = running("standby", position.replayed ?? position.received);
  const postgres = {
    ...status.postgres!,
    receivedLsn: position.received,
    timeline: position.timeline ?? 1,
    // Nobody sends anything, or it is refused.
    replication: [],
  };
  return instance(view, number, { status: { ...status, ...more, postgres } });
}

const decideWith = (standbys: readonly ReturnType<typeof standby>[], tidemark: object = {}) =>
  decide(view, {
    instances: [dead, ...standbys],
    status: { currentPrimary: "pg-1", systemID: "7", tidemark: { primaryDownSince: downSince, ...tidemark } },
  });

test("the standby with the most WAL takes over, replayed or not; one on an older timeline does not", () => {
  const ahead = standby(3, { received: "0/5000000", replayed: "0/1000000" });

  expect(decideWith([standby(2, { received: "0/4000000" }), ahead]).targetPrimary).toBe("pg-3");
  const newer = standby(2, { received: "0/4000000", timeline: 2 });
  expect(decideWith([newer, ahead]).targetPrimary).toBe("pg-2");
});

test("one that went its own way never takes over, however far it is; alone, it is said that nobody can", () => {
  const trouble = { kind: "diverged", message: "it has another history" } as const;
  const diverged = standby(2, { received: "0/9000000" }, { trouble });

  expect(decideWith([diverged, standby(3, { received: "0/4000000" })]).targetPrimary).toBe("pg-3");
  const alone = decideWith([diverged]);
  expect(alone.phase).toBe(phases.waitingForInstances);
  expect(alone.phaseReason).toBe("no standby can take over: pg-2 (it has another history)");
});

test("a failover begins when the manifest says", () => {
  const soon = cluster({ instances: 2, failoverDelay: 5 });
  const decision = decide(soon, {
    instances: [dead, instance(soon, 2)],
    status: {
      currentPrimary: "pg-1",
      systemID: "7",
      tidemark: { primaryDownSince: new Date(now.getTime() - 5000).toISOString() },
    },
  });

  expect(decision.phase).toBe(phases.failingOver);
});

const key = `pg-1 down since ${downSince}`;
const underWay = (rescue: WalRescueStatus | undefined, tidemark: object = {}) =>
  decide(view, {
    instances: [
      dead,
      standby(2, { received: "0/4000000" }, rescue === undefined ? {} : { rescue }),
      standby(3, { received: "0/9000000" }),
    ],
    status: {
      currentPrimary: "pg-1",
      targetPrimary: "pg-2",
      phase: phases.failingOver,
      systemID: "7",
      tidemark: { primaryDownSince: downSince, primaryLsn: "0/4500000", ...tidemark },
    },
  });
const stuck = (mark: string, seconds: number) => ({
  takeover: { mark, since: new Date(now.getTime() - seconds * 1000).toISOString() },
});

test("who has been noted stays so, and gets what the dead primary had not sent before anything is final", () => {
  expect(underWay(undefined).actions).toEqual([
    { kind: "ask", name: "pg-2", request: { op: "rescue", key, dataDirectory: "/data/1" } },
  ]);
  // Of an earlier failover: that says nothing of this one.
  expect(underWay({ key: "older", state: "done", waitingFiles: 0 }).actions).toHaveLength(1);
  expect(underWay({ key, state: "running", waitingFiles: 0 })).toMatchObject({
    actions: [],
    phaseReason: "Collecting what pg-1 had written and not sent",
    takeover: { mark: "collecting 0/4000000", since: now.toISOString() },
  });
  expect(underWay({ key, state: "done", endLsn: "0/4800000", waitingFiles: 2 })).toMatchObject({
    actions: [],
    phaseReason: "pg-2 replays what pg-1 had written and not sent, up to 0/4800000",
  });
});

test("with nobody left who could take over, or the old primary back, it is no failover any more, and no switchover", () => {
  const status = {
    currentPrimary: "pg-1",
    targetPrimary: "pg-2",
    phase: phases.failingOver,
    systemID: "7",
    tidemark: { primaryDownSince: downSince },
  };
  const gone = instance(view, 2, { status: undefined, isProcessAlive: false, isServerAlive: false });

  const alone = decide(view, { instances: [dead, gone], status });
  expect(alone).toMatchObject({
    phase: phases.waitingForInstances,
    targetPrimary: "pg-1",
    primaryDownSince: now.toISOString(),
    actions: [
      { kind: "spawn", name: "pg-1" },
      { kind: "spawn", name: "pg-2" },
    ],
  });
  const back = decide(view, { instances: [instance(view, 1), instance(view, 2), instance(view, 3)], status });
  expect(back).toMatchObject({ phase: phases.healthy, targetPrimary: "pg-1", actions: [] });
});

test("with everything replayed nothing is lost, and that is said", () => {
  const { actions, events } = underWay({ key, state: "done", endLsn: "0/4000000", waitingFiles: 2 });

  expect(actions).toEqual([{ kind: "remove", name: "pg-1", keepAside: true }]);
  expect(events[0]?.message).toBe(
    "Primary pg-1 does not start any more: pg-2 takes over; the data of pg-1 are kept aside. pg-2 has all that pg-1 wrote, up to 0/4000000",
  );
});

test("what cannot be read is tried again for a moment, and then it goes on without, and says what is lost", () => {
  const rescue = { key, state: "failed", message: "no such directory", waitingFiles: 0 } as const;

  expect(underWay(rescue).actions).toMatchObject([{ kind: "ask" }]);
  const { actions, events } = underWay(rescue, stuck("collecting 0/4000000", 15));
  expect(actions).toMatchObject([{ kind: "remove" }]);
  expect(events[0]?.message).toContain(
    "Its WAL could not be read (no such directory): what pg-1 wrote after 0/4000000 is lost; it was at 0/4500000 when it last said so",
  );
});

test("a replay that does not move for a minute is not waited for any longer", () => {
  const rescue = { key, state: "done", endLsn: "0/4800000", waitingFiles: 0 } as const;

  expect(underWay(rescue, stuck("replaying 0/4000000", 59)).actions).toEqual([]);
  expect(underWay(rescue, stuck("replaying 0/3F00000", 90)).actions).toEqual([]);
  const { events } = underWay(rescue, stuck("replaying 0/4000000", 60));
  expect(events[0]?.message).toContain(
    "pg-2 could not replay all of its WAL: what pg-1 wrote from 0/4000000 to 0/4800000 is only in its data",
  );
});

test("a switchover to a standby that does not follow is given up before anything is stopped", () => {
  const trouble = { kind: "other", message: "the slot is gone" } as const;
  const decision = decide(view, {
    instances: [instance(view, 1), standby(2, { received: "0/3000000" }, { trouble }), instance(view, 3)],
    status: { currentPrimary: "pg-1", targetPrimary: "pg-2", systemID: "7" },
  });

  expect(decision).toMatchObject({ actions: [], targetPrimary: "pg-1" });
  expect(decision.events[0]?.message).toBe(
    "pg-2 does not follow pg-1 (the slot is gone), which stays the primary",
  );
});
