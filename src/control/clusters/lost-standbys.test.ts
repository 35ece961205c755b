import { expect, test } from "vitest";
import type { InstanceStatus } from "../../instance/instance-status.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { TimelineHistory } from "../../postgres/timeline-history.ts";
import { timelineId } from "../../postgres/timeline.ts";
import { phases } from "./cluster-status.ts";
import { cluster, decide, failed, instance, now, running } from "./testing/sample-facts.ts";

const history: TimelineHistory = { timeline: timelineId(1), entries: [] };
const removed = { kind: "wal-removed", message: "its WAL has gone" } as const;
const since = (seconds: number) => new Date(now.getTime() - seconds * 1000).toISOString();

interface Given {
  readonly seconds?: number;
  readonly status?: Partial<InstanceStatus>;
  readonly primary?: Parameters<typeof instance>[2];
  readonly annotations?: Record<string, string>;
  readonly remakes?: number;
  /** Where it was; null where nobody could tell. */
  readonly lsn?: string | null;
}

/** A cluster of two whose standby has been unable to follow for a time. */
function lost({
  seconds = 30,
  status = {},
  primary = {},
  annotations,
  remakes,
  lsn = "0/3000000",
}: Given = {}) {
  const view = cluster({ instances: 2 }, annotations);
  return decide(view, {
    instances: [
      instance(view, 1, { history, ...primary }),
      instance(view, 2, { status: { ...running("standby"), trouble: removed, ...status } }),
    ],
    status: {
      currentPrimary: "pg-1",
      systemID: "7",
      tidemark: {
        lostStandbys: [{ name: "pg-2", since: since(seconds), ...(lsn === null ? {} : { lsn }) }],
        ...(remakes === undefined ? {} : { remakes }),
      },
    },
  });
}

test("a standby that cannot follow is noted, and not healthy; its cluster says which one and why", () => {
  const decision = lost({ lsn: "0/2000000" });

  expect(decision).toMatchObject({
    actions: [],
    phase: phases.waitingForInstances,
    phaseReason: "pg-2: its WAL has gone",
    // The archive has brought it on: it is given its time anew.
    lostStandbys: [{ name: "pg-2", since: now.toISOString(), lsn: "0/3000000" }],
  });
});

test("after half a minute without a step it is replaced, and what the primary has certainly is removed", () => {
  expect(lost({ seconds: 29 }).actions).toEqual([]);
  const decision = lost();
  expect(decision.actions).toEqual([{ kind: "remove", name: "pg-2", keepAside: false }]);
  expect(decision).toMatchObject({ remakes: 1, lostStandbys: [] });
  expect(decision.events[0]?.message).toBe(
    "pg-2 cannot follow pg-1 any more (its WAL has gone): a new copy takes its place; its data are removed, since pg-1 has all of them",
  );
});

test("what went its own way, or cannot be read, is kept aside", () => {
  const other = { ...running("standby").postgres!, timeline: 2 };
  const diverged = lost({ status: { trouble: { kind: "diverged", message: "x" }, postgres: other } });
  const damaged = lost({
    status: { ...failed, postgres: undefined, trouble: { kind: "damaged", message: "x" } },
    lsn: null,
  });

  for (const { actions } of [diverged, damaged]) {
    expect(actions).toEqual([{ kind: "remove", name: "pg-2", keepAside: true }]);
  }
});

test("nothing is given up while the primary is not well, or its WAL does not reach the archive", () => {
  const view = cluster({ instances: 2 });
  const { spec } = instance(view, 1);
  const archive = { server: "pg" } as NonNullable<NonNullable<typeof spec>["archive"]>;
  const archivingError = { code: "store-unavailable", message: "the store is down" };

  expect(lost({ primary: { status: failed } }).actions).toEqual([]);
  const unarchived = lost({
    primary: { spec: { ...spec!, archive }, status: { ...running("primary"), archivingError } },
  });
  expect(unarchived.actions).not.toContainEqual(expect.objectContaining({ kind: "remove" }));
});

test("copies that are lost as well get twice the time, and after four of them a person has to look", () => {
  expect(lost({ seconds: 59, remakes: 1 }).actions).toEqual([]);
  expect(lost({ seconds: 60, remakes: 1 }).actions).toHaveLength(1);
  expect(lost({ seconds: 100_000, remakes: 4 }).actions).toEqual([]);
});

test("how long it is given can be said, and that it is never replaced", () => {
  const name = "tidemark.dev/remake-standbys-after";

  expect(lost({ seconds: 1, annotations: { [name]: "1" } }).actions).toHaveLength(1);
  expect(lost({ seconds: 100_000, annotations: { [name]: "never" } }).actions).toEqual([]);
});

test("a standby without data becomes a copy of whoever is the primary now", () => {
  const view = cluster({ instances: 2 });
  const unmade = instance(view, 2, { status: { ...failed, bootstrapped: false } });

  expect(decide(view, { instances: [instance(view, 1), unmade] }).actions).toMatchObject([
    { kind: "write-spec", name: "pg-2", spec: { bootstrap: { kind: "clone", dataDirectory: "/data/1" } } },
  ]);
});

test("a standby whose last position is in its primary's history up to the fork has nothing of its own", () => {
  const forked: TimelineHistory = {
    timeline: timelineId(2),
    entries: [{ parentTimeline: timelineId(1), switchLsn: parseLsn("0/3000000"), reason: "" }],
  };
  const actions = (lsn: string) =>
    lost({ primary: { history: forked }, status: { postgres: running("standby", lsn).postgres }, lsn })
      .actions;

  expect(actions("0/3000000")).toEqual([{ kind: "remove", name: "pg-2", keepAside: false }]);
  expect(actions("0/3000001")).toEqual([{ kind: "remove", name: "pg-2", keepAside: true }]);
});
