import { expect, test } from "vitest";
import type { InstanceSpec } from "../../instance/instance-spec.ts";
import type { InstanceStatus } from "../../instance/instance-status.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { ClusterFacts } from "./cluster-facts.ts";
import { phases } from "./cluster-status.ts";
import {
  bootstrap,
  cluster,
  decide,
  failed,
  instance,
  now,
  running,
  specOf,
} from "./testing/sample-facts.ts";

test("a new cluster gets its first instance as the primary", () => {
  const decision = decide(cluster());

  expect(decision.actions).toMatchObject([
    { kind: "create", name: "pg-1", role: { kind: "primary" }, major: 17 },
  ]);
  expect(decision).toMatchObject({
    phase: phases.settingUpPrimary,
    currentPrimary: "pg-1",
    latestGeneratedNode: 1,
  });
});

test("a bootstrap that has failed is tried as the manifest says now; one that is under way or done is left alone", () => {
  const view = cluster();
  const corrected = { ...bootstrap, application: { database: "other", owner: "other" }, arguments: [] };
  const sql = { postInitSql: [], postInitTemplateSql: [], postInitApplicationSql: [] };
  const given = {
    status: { currentPrimary: "pg-1" },
    bootstrap: {
      kind: "ok" as const,
      value: { bootstrap: { ...corrected, ...sql }, major: 18, binDirectory: undefined },
    },
  };
  const refused: InstanceStatus = { ...failed, bootstrapped: false };
  const actionsFor = (status: InstanceStatus) =>
    decide(view, { ...given, instances: [instance(view, 1, { status, isServerAlive: false })] }).actions;

  expect(actionsFor(refused)).toMatchObject([
    { kind: "write-spec", version: 2, spec: { bootstrap: corrected, major: 17 } },
  ]);
  expect(actionsFor({ ...refused, phase: "bootstrapping", error: undefined })).toEqual([]);
  expect(actionsFor(failed)).toEqual([]);
});

test("a bootstrap that has failed and cannot be tried as the manifest says now says what hinders it", () => {
  const view = cluster();
  const status: InstanceStatus = { ...failed, bootstrapped: false };
  const instances = [instance(view, 1, { status, isServerAlive: false })];
  const reasonFor = (fact: ClusterFacts["bootstrap"], known: object = {}) =>
    decide(view, { instances, bootstrap: fact, status: { currentPrimary: "pg-1", ...known } }).phaseReason;

  expect(reasonFor({ kind: "waiting", reason: "its origin is not there" })).toBe("its origin is not there");
  expect(reasonFor({ kind: "missing", problems: ["no host", "no user"] })).toBe("no host; no user");
  expect(reasonFor({ kind: "waiting", reason: "it has been bootstrapped" }, { systemID: "7" })).toBe(
    "it does not start",
  );
});

test("nothing is made while a store or Secret is missing, and the reason is said", () => {
  const decision = decide(cluster(), {
    archive: { kind: "missing", problems: ['Secret "s3" is not there'] },
  });

  expect(decision.actions).toEqual([]);
  expect(decision).toMatchObject({ phase: phases.cannotCreate, phaseReason: 'Secret "s3" is not there' });
});

test("a recovery from a Backup that is not completed waits", () => {
  const decision = decide(cluster(), { bootstrap: { kind: "waiting", reason: "not yet" } });

  expect(decision.actions).toEqual([]);
  expect(decision).toMatchObject({ phase: phases.settingUpPrimary, phaseReason: "not yet" });
});

test("a cluster that is as it should be is healthy and left alone", () => {
  const view = cluster();
  const decision = decide(view, { instances: [instance(view, 1)] });

  expect(decision.actions).toEqual([]);
  expect(decision).toMatchObject({ phase: phases.healthy, phaseReason: undefined, currentPrimary: "pg-1" });
});

test("a process that is gone is started again", () => {
  const view = cluster();
  const decision = decide(view, {
    instances: [instance(view, 1, { status: undefined, isProcessAlive: false })],
    status: { systemID: "7" },
  });

  expect(decision.actions).toEqual([{ kind: "spawn", name: "pg-1" }]);
  expect(decision.phase).toBe(phases.waitingForInstances);
});

test("an instance whose port somebody else has taken gets another one", () => {
  const view = cluster();
  const error = {
    code: "postgres-failed",
    message:
      'the server did not start; its log ends: LOG:  could not bind IPv4 address "127.0.0.1": Address already in use',
  };
  const blocked = instance(view, 1, { status: { ...failed, error }, isServerAlive: false });

  expect(decide(view, { instances: [blocked] }).actions).toEqual([{ kind: "move", name: "pg-1" }]);
  const moved = { ...blocked, spec: { ...blocked.spec!, version: 2 } };
  expect(decide(view, { instances: [moved] }).actions).toEqual([]);
});

test("a changed parameter is written to the specification of every instance", () => {
  const before = cluster({ instances: 2 });
  const after = cluster({ instances: 2, postgresql: { parameters: { work_mem: "8MB" } } });
  const decision = decide(after, { instances: [instance(before, 1), instance(before, 2)] });

  expect(decision.actions).toMatchObject([
    { kind: "write-spec", name: "pg-1", version: 2, spec: { parameters: { work_mem: "8MB" } } },
    { kind: "write-spec", name: "pg-2", version: 2, spec: { parameters: { work_mem: "8MB" } } },
  ]);
});

test("instances that need a restart get it one by one, the primary last", () => {
  const view = cluster({ instances: 2 });
  const both = [
    instance(view, 1, { status: running("primary", "0/3000000", true) }),
    instance(view, 2, { status: running("standby", "0/3000000", true) }),
  ];

  expect(decide(view, { instances: both }).actions).toEqual([
    { kind: "ask", name: "pg-2", request: { op: "restart" } },
  ]);
  expect(decide(view, { instances: [both[0]!, instance(view, 2)] })).toMatchObject({
    phase: phases.restartingPrimary,
    actions: [{ kind: "ask", name: "pg-1", request: { op: "restart" } }],
  });
});

test("missing standbys are copied from the primary, one at a time, under new numbers", () => {
  const view = cluster({ instances: 3 });
  const decision = decide(view, { instances: [instance(view, 1)], status: { latestGeneratedNode: 4 } });

  expect(decision.actions).toMatchObject([
    {
      kind: "create",
      name: "pg-5",
      role: { kind: "standby", host: "/run/1", port: 5432 },
      bootstrap: { kind: "clone", dataDirectory: "/data/1" },
    },
  ]);
  expect(decision).toMatchObject({ phase: phases.creatingReplica, latestGeneratedNode: 5 });
});

test("the newest standby goes when there are too many", () => {
  const view = cluster({ instances: 2 });
  const decision = decide(view, { instances: [instance(view, 1), instance(view, 2), instance(view, 3)] });

  expect(decision.actions).toEqual([{ kind: "remove", name: "pg-3", keepAside: false }]);
});

test("one too many that does not run goes first, and does not keep the others waiting", () => {
  const view = cluster({ instances: 2 });
  const broken = instance(view, 2, { status: failed, isProcessAlive: false, isServerAlive: false });
  const decision = decide(view, { instances: [instance(view, 1), broken, instance(view, 3)] });

  expect(decision.actions).toEqual([{ kind: "remove", name: "pg-2", keepAside: false }]);
});

test("another major in imageName is said not to be taken", () => {
  const view = cluster({ imageName: "ghcr.io/cloudnative-pg/postgresql:18.1" });
  const decision = decide(view, { instances: [instance(view, 1)] });

  expect(decision).toMatchObject({ actions: [], phase: phases.healthy });
  expect(decision.phaseReason).toBe(
    "imageName wants PostgreSQL 18, and the data are of 17: a major upgrade is not done; dump it into a new cluster",
  );
});

test("a primary that does not start is given half a minute", () => {
  const view = cluster({ instances: 2 });
  const instances = [instance(view, 1, { status: failed, isServerAlive: false }), instance(view, 2)];
  const decision = decide(view, { instances, status: { systemID: "7" } });

  expect(decision.actions).toEqual([]);
  expect(decision.primaryDownSince).toBe(now.toISOString());
});

test("a primary that is being started again after a failure has been down since the first one", () => {
  const view = cluster({ instances: 2 });
  const since = "2026-11-21T11:59:00Z";
  const status = { currentPrimary: "pg-1", systemID: "7", tidemark: { primaryDownSince: since } };
  const starting: InstanceStatus = { ...failed, phase: "starting", error: undefined };
  const instances = [instance(view, 1, { status: starting }), instance(view, 2)];

  const decision = decide(view, { instances, status });

  expect(decision.phase).not.toBe(phases.failingOver);
  expect(decision.primaryDownSince).toBe(since);
});

test("after that it is made sure to be dead before a standby takes over", () => {
  const view = cluster({ instances: 3 });
  const status = {
    currentPrimary: "pg-1",
    systemID: "7",
    tidemark: { primaryDownSince: "2026-11-21T11:59:00Z" },
  };
  const since = { tidemark: { primaryDownSince: "2026-11-21T11:59:00Z" } };
  const standbys = [instance(view, 2), instance(view, 3, { status: running("standby", "0/4000000") })];

  const first = decide(view, { instances: [instance(view, 1, { status: failed }), ...standbys], status });
  expect(first).toMatchObject({ phase: phases.failingOver, targetPrimary: "pg-3", currentPrimary: "pg-1" });
  expect(first.actions).toEqual([{ kind: "kill", name: "pg-1" }]);

  const dead = instance(view, 1, { status: undefined, isProcessAlive: false, isServerAlive: false });
  const noted = {
    currentPrimary: "pg-1",
    targetPrimary: "pg-3",
    phase: phases.failingOver,
    systemID: "7",
    ...since,
  };
  const before = decide(view, { instances: [dead, ...standbys], status: noted });
  expect(before).toMatchObject({ currentPrimary: "pg-1", targetPrimary: "pg-3" });
  expect(before.actions).toMatchObject([
    { kind: "ask", name: "pg-3", request: { op: "rescue", dataDirectory: "/data/1" } },
  ]);

  const [asked] = before.actions;
  const key = asked?.kind === "ask" && asked.request.op === "rescue" ? asked.request.key : "";
  const rescue = { key, state: "done" as const, endLsn: "0/4000000", waitingFiles: 0 };
  const [two, three] = standbys;
  const ready = [two!, { ...three!, status: { ...three!.status!, rescue } }];
  const second = decide(view, { instances: [dead, ...ready], status: noted });
  expect(second).toMatchObject({ currentPrimary: "pg-1", targetPrimary: "pg-3" });
  expect(second.actions).toEqual([{ kind: "remove", name: "pg-1", keepAside: true }]);

  const third = decide(view, { instances: standbys, status: noted });
  expect(third.currentPrimary).toBe("pg-3");
  expect(third.actions).not.toContainEqual(expect.objectContaining({ kind: "ask" }));

  const fourth = decide(view, { instances: standbys, status: { ...noted, currentPrimary: "pg-3" } });
  expect(fourth.actions).toContainEqual({ kind: "ask", name: "pg-3", request: { op: "promote" } });
});

test("a primary that is dead is put aside only after it was noted who takes over", () => {
  const view = cluster({ instances: 2 });
  const dead = instance(view, 1, { status: undefined, isProcessAlive: false, isServerAlive: false });
  const decision = decide(view, {
    instances: [dead, instance(view, 2)],
    status: {
      currentPrimary: "pg-1",
      systemID: "7",
      tidemark: { primaryDownSince: "2026-11-21T11:59:00Z" },
    },
  });

  expect(decision).toMatchObject({
    phase: phases.failingOver,
    currentPrimary: "pg-1",
    targetPrimary: "pg-2",
    actions: [],
  });
});

test("of several standbys only the noted one is promoted, however far another seems to be", () => {
  const view = cluster({ instances: 3 });
  const ahead = instance(view, 2, { status: running("standby", "0/5000000") });
  const promoting = instance(view, 3, { status: undefined });
  const decision = decide(view, {
    instances: [ahead, promoting],
    status: { currentPrimary: "pg-1", targetPrimary: "pg-3", phase: phases.failingOver, systemID: "7" },
  });

  expect(decision.currentPrimary).toBe("pg-3");
  expect(decision.actions).not.toContainEqual(expect.objectContaining({ kind: "ask" }));
});

test("a failing primary without a standby is never given up", () => {
  const view = cluster();
  const decision = decide(view, {
    instances: [instance(view, 1, { status: failed, isServerAlive: false })],
    status: { currentPrimary: "pg-1", tidemark: { primaryDownSince: "2026-11-21T10:00:00Z" } },
  });

  expect(decision.actions).toEqual([]);
  expect(decision.phaseReason).toBe("it does not start");
});

test("a switchover stops the old primary before the new one is promoted", () => {
  const view = cluster({ instances: 2 });
  const status = { currentPrimary: "pg-1", targetPrimary: "pg-2" };

  const first = decide(view, { instances: [instance(view, 1), instance(view, 2)], status });
  expect(first.phase).toBe(phases.switchover);
  expect(first.actions).toMatchObject([{ kind: "write-spec", name: "pg-1", spec: { wanted: "stopped" } }]);

  const stopped = instance(view, 1, { isServerAlive: false, shutDownAtLsn: parseLsn("0/2FFFF98") });
  const second = decide(view, { instances: [stopped, instance(view, 2)], status });
  expect(second).toMatchObject({ currentPrimary: "pg-2", actions: [] });

  const noted = { ...status, currentPrimary: "pg-2" };
  const third = decide(view, { instances: [stopped, instance(view, 2)], status: noted });
  expect(third.actions).toMatchObject([
    { kind: "write-spec", name: "pg-1", spec: { role: { kind: "standby" }, wanted: "running" } },
    { kind: "write-spec", name: "pg-2", spec: { role: { kind: "primary" } } },
    { kind: "ask", name: "pg-2", request: { op: "promote" } },
  ]);
});

test("a standby that has not replayed everything does not take over, and after a minute the old primary goes on", () => {
  const view = cluster({ instances: 2 });
  const stopped = instance(view, 1, { isServerAlive: false, shutDownAtLsn: parseLsn("0/5000028") });
  const behind = [stopped, instance(view, 2)];
  const status = { currentPrimary: "pg-1", targetPrimary: "pg-2", systemID: "7" };

  const first = decide(view, { instances: behind, status });
  expect(first).toMatchObject({ phase: phases.switchover, actions: [], primaryDownSince: now.toISOString() });

  const later = { ...status, tidemark: { primaryDownSince: "2026-11-21T11:58:59Z" } };
  const second = decide(view, { instances: behind, status: later });
  expect(second).toMatchObject({
    targetPrimary: "pg-1",
    currentPrimary: "pg-1",
    primaryDownSince: undefined,
  });
});

test("the new primary is asked again when it has not been promoted", () => {
  const view = cluster({ instances: 2 });
  const two = instance(view, 2);
  const promoted = { ...two, spec: { ...specOf(view, 2, { kind: "primary" }) } };
  const one = {
    ...instance(view, 1),
    spec: specOf(view, 1, { kind: "standby", host: "/run/2", port: 5433 }),
  };
  const decision = decide(view, { instances: [one, promoted], status: { currentPrimary: "pg-2" } });

  expect(decision.actions).toEqual([{ kind: "ask", name: "pg-2", request: { op: "promote" } }]);
});

test("hibernation stops the servers and keeps everything", () => {
  const view = cluster({}, { "cnpg.io/hibernation": "on" });
  const decision = decide(view, { instances: [instance(view, 1)] });

  expect(decision.phase).toBe(phases.hibernated);
  expect(decision.actions).toMatchObject([{ kind: "write-spec", spec: { wanted: "stopped" } }]);
});

test("a server whose process is gone gets one again, so that it can be stopped", () => {
  const orphaned = { status: undefined, isProcessAlive: false, isServerAlive: true };
  const asleep = cluster({}, { "cnpg.io/hibernation": "on" });
  const moving = cluster({ instances: 2 });

  const hibernation = decide(asleep, { instances: [instance(asleep, 1, orphaned)] });
  const switchover = decide(moving, {
    instances: [instance(moving, 1, orphaned), instance(moving, 2)],
    status: { currentPrimary: "pg-1", targetPrimary: "pg-2", systemID: "7" },
  });

  expect(hibernation).toMatchObject({ phaseReason: "Stopping pg-1", afterMs: 1000 });
  expect(hibernation.actions).toContainEqual({ kind: "spawn", name: "pg-1" });
  expect(switchover.actions).toContainEqual({ kind: "spawn", name: "pg-1" });
});

test("a switchover to a standby that has ended meanwhile does not stop the primary", () => {
  const view = cluster({ instances: 2 });
  const status = { currentPrimary: "pg-1", targetPrimary: "pg-2", systemID: "7" };
  const instances = [instance(view, 1), instance(view, 2, { status: failed, isServerAlive: false })];

  const decision = decide(view, { instances, status });

  expect(decision).toMatchObject({ actions: [], currentPrimary: "pg-1", targetPrimary: "pg-1" });
  expect(decision.events).toMatchObject([{ reason: "SwitchoverFailed" }]);
});

test("a primary that was stopped for a switchover is not failed over from", () => {
  const view = cluster({ instances: 2 });
  const gone = { status: undefined, isProcessAlive: false, isServerAlive: false };
  const stopped = instance(view, 1, { ...gone, shutDownAtLsn: parseLsn("0/5000028") });
  const decision = decide(view, {
    instances: [stopped, instance(view, 2)],
    status: {
      currentPrimary: "pg-1",
      targetPrimary: "pg-2",
      phase: phases.switchover,
      systemID: "7",
      tidemark: { primaryDownSince: "2026-11-21T11:59:15Z" },
    },
  });

  expect(decision.phase).toBe(phases.switchover);
  expect(decision.actions).toEqual([{ kind: "spawn", name: "pg-1" }]);
});

test("a switchover asked for during another begins when that is done", () => {
  const view = cluster({ instances: 3 });
  const status = { currentPrimary: "pg-2", targetPrimary: "pg-3", systemID: "7" };
  const instances = [instance(view, 2, { spec: specOf(view, 2, { kind: "primary" }) }), instance(view, 3)];

  const { actions } = decide(view, { instances, status });

  expect(actions).toContainEqual({ kind: "ask", name: "pg-2", request: { op: "promote" } });
  expect(actions).not.toContainEqual(
    expect.objectContaining({ spec: expect.objectContaining({ wanted: "stopped" }) }),
  );
});

test("what is to become the primary and is gone is forgotten", () => {
  const view = cluster();
  const status = { currentPrimary: "pg-1", targetPrimary: "pg-2", systemID: "7" };

  expect(decide(view, { instances: [instance(view, 1)], status }).targetPrimary).toBe("pg-1");
});

test("a store that goes away does not end the archiving that runs", () => {
  const view = cluster();
  const present = instance(view, 1);
  const archive = { server: "pg", walCompression: "gzip" } as NonNullable<InstanceSpec["archive"]>;
  const archiving = { ...present, spec: { ...present.spec!, archive } };
  const decision = decide(view, {
    instances: [archiving],
    archive: { kind: "missing", problems: ['ObjectStore "s3" is not there'] },
  });

  expect(decision.actions).toEqual([]);
  expect(decision).toMatchObject({ phase: phases.healthy, phaseReason: 'ObjectStore "s3" is not there' });
});

test("an instance that is made forgets the statements of its bootstrap, which may hold passwords, and not before", () => {
  const view = cluster();
  const spec = specOf(view, 1, { kind: "primary" });
  const withSecret: InstanceSpec = {
    ...spec,
    bootstrap: {
      ...bootstrap,
      arguments: [],
      postInitSql: ["SELECT 'secret'"],
      postInitTemplateSql: [],
      postInitApplicationSql: [],
    },
  };
  const specsFor = (status: InstanceStatus) =>
    decide(view, {
      status: { currentPrimary: "pg-1", targetPrimary: "pg-1" },
      instances: [instance(view, 1, { spec: withSecret, status })],
    }).actions.filter(({ kind }) => kind === "write-spec");

  const before = specsFor({ ...running("primary"), phase: "bootstrapping", bootstrapped: false });
  const after = specsFor({ ...running("primary"), bootstrapped: true });

  expect(before).toEqual([]);
  expect(after).toMatchObject([{ spec: { bootstrap: spec.bootstrap }, version: 2 }]);
});
