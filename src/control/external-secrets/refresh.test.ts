import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ExternalSecretSpec } from "../../manifest/kinds/external-secret.ts";
import type { Resource } from "../resources/resource.ts";
import type { ExternalSecretStatus } from "./external-secret-status.ts";
import { decideRefresh, syncedVersionOf } from "./refresh.ts";

const at = (time: string) => new Date(`2026-11-21T${time}Z`);
const synced: ExternalSecretStatus = {
  refreshTime: "2026-11-21T10:00:00Z",
  syncedResourceVersion: "1-a",
  target: { uid: "u", generation: 1 },
};

function secret(generation = 1, uid = "u"): Resource {
  return {
    apiVersion: "v1",
    kind: "Secret",
    content: {},
    status: undefined,
    metadata: {
      name: "s",
      namespace: "n",
      uid,
      resourceVersion: "9",
      generation,
      creationTimestamp: "2026-11-21T09:00:00Z",
      labels: {},
      annotations: {},
      ownerReferences: [],
      finalizers: [],
    },
  };
}

function decide(
  spec: ExternalSecretSpec,
  { status = synced, version = "1-a", now = at("10:00:10"), existing = secret() } = {},
) {
  const decision = decideRefresh({ spec, status, version, existing, now });
  return decision.kind === "refresh" ? "refresh" : decision.again;
}

describe("Periodic, the default", () => {
  test.each([
    ["never synced", {}, { status: {} }, "refresh"],
    ["just synced", {}, {}, { afterMs: 3_590_000 }],
    ["an hour later", {}, { now: at("11:00:00") }, "refresh"],
    ["a second before", {}, { now: at("10:59:59.500") }, { afterMs: 1000 }],
    ["the object changed", {}, { version: "2-a" }, "refresh"],
    ["noted by a clock that was wrong", {}, { now: at("09:00:00") }, "refresh"],
    ["an interval of its own", { refreshInterval: "15s" }, {}, { afterMs: 5000 }],
    ["an interval longer than timers reach", { refreshInterval: "8760h" }, {}, { afterMs: 86_400_000 }],
    ["once", { refreshInterval: "0" }, { now: at("23:00:00") }, "never"],
    ["once, and the object changed", { refreshInterval: "0s" }, { version: "2-a" }, "never"],
    ["once, and not synced yet", { refreshInterval: "0" }, { status: {} }, "refresh"],
  ] as const)("%s", (_name, spec, facts, expected) => {
    expect(decide(spec, facts)).toEqual(expected);
  });
});

describe("the other policies", () => {
  test.each([
    ["CreatedOnce", { now: at("23:00:00"), version: "2-a" }, "never"],
    ["CreatedOnce", { status: {} }, "refresh"],
    ["OnChange", { now: at("23:00:00") }, "never"],
    ["OnChange", { version: "2-a" }, "refresh"],
  ] as const)("%s with %j", (refreshPolicy, facts, expected) => {
    expect(decide({ refreshPolicy }, facts)).toEqual(expected);
  });
});

describe("a Secret that is not as it was left is looked at", () => {
  test.each([
    ["changed", { existing: secret(2) }, "refresh"],
    ["gone", { existing: undefined }, "refresh"],
    ["another one", { existing: secret(1, "v") }, "refresh"],
    [
      "none was left, and none is there",
      { status: { ...synced, target: undefined }, existing: undefined },
      { afterMs: 3_590_000 },
    ],
    ["none was left, and one is there", { status: { ...synced, target: undefined } }, "refresh"],
  ] as const)("%s", (_name, facts, expected) => {
    // An absent property is no default.
    const { existing, ...rest } = { existing: secret(), ...facts } as { existing?: Resource };
    const decision = decideRefresh({
      spec: {},
      status: synced,
      version: "1-a",
      now: at("10:00:10"),
      ...rest,
      existing,
    });

    expect(decision.kind === "refresh" ? "refresh" : decision.again).toEqual(expected);
  });

  test.each(["Orphan", "None"] as const)("but not with the policy %s", (creationPolicy) => {
    expect(
      decideRefresh({
        spec: { target: { creationPolicy } },
        status: synced,
        version: "1-a",
        now: at("10:00:10"),
        existing: undefined,
      }),
    ).toEqual({ kind: "wait", again: { afterMs: 3_590_000 } });
  });
});

test("what is waited for is neither a tight loop nor longer than a timer can wait", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000_000 }),
      fc.integer({ min: 0, max: 1_000_000_000 }),
      (intervalMs, sinceMs) => {
        const now = new Date(Date.parse("2026-11-21T10:00:00Z") + sinceMs);
        const restMs = Math.min(Math.max(intervalMs - sinceMs, 1000), 86_400_000);

        expect(decide({ refreshInterval: `${intervalMs}ms` }, { now })).toEqual(
          sinceMs >= intervalMs ? "refresh" : { afterMs: restMs },
        );
      },
    ),
  );
});

test("the synced version changes with spec, labels and annotations, and not with their order", () => {
  const version = (change: Partial<Parameters<typeof syncedVersionOf>[0]>) =>
    syncedVersionOf({ generation: 1, labels: { a: "1", b: "2" }, annotations: {}, ...change });

  expect(version({ labels: { b: "2", a: "1" } })).toBe(version({}));
  expect(
    new Set([
      version({}),
      version({ generation: 2 }),
      version({ labels: {} }),
      version({ annotations: { a: "1" } }),
    ]).size,
  ).toBe(4);
});
