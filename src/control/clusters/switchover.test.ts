import { expect, test } from "vitest";
import type { InstanceStatus } from "../../instance/instance-status.ts";
import { draft, key } from "../resources/testing/drafts.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import type { InstanceHandle } from "./cluster-instances.ts";
import { requestSwitchover } from "./switchover.ts";

function standby(name: string, lsn: string, state = "streaming"): InstanceHandle {
  const status: InstanceStatus = {
    pid: 10,
    startedAt: "2026-11-21T12:00:00Z",
    specVersion: 1,
    phase: "running",
    postgres: {
      pid: 11,
      version: "17.10",
      role: "standby",
      systemIdentifier: "7",
      timeline: 1,
      lsn,
      startedAt: "2026-11-21T12:00:00Z",
      pendingRestart: false,
      replication: state === "" ? [] : [{ name: "primary", state, lagBytes: 0 }],
    },
    ...(state === "" ? { trouble: { kind: "other", message: "the slot is gone" } } : {}),
    backups: [],
  };
  return { name, folder: "/nowhere", status, ask: async () => undefined };
}

test("without a name the standby that has replayed most is to take over", async () => {
  const store = await (await temporaryResources()).open();
  store.create(draft("Cluster", "pg"));
  const instances = { of: () => [standby("pg-2", "0/9000000"), standby("pg-3", "0/A000000")] };

  const target = requestSwitchover({ store, instances }, key("Cluster", "pg"), undefined);

  expect(target).toBe("pg-3");
  expect(store.require(key("Cluster", "pg")).status).toMatchObject({ targetPrimary: "pg-3" });
});

test("a standby that does not stream is refused, with its reason, and not chosen however far it is", async () => {
  const store = await (await temporaryResources()).open();
  store.create(draft("Cluster", "pg"));
  const instances = { of: () => [standby("pg-2", "0/9000000"), standby("pg-3", "0/A000000", "")] };
  const ask = (name?: string) => requestSwitchover({ store, instances }, key("Cluster", "pg"), name);

  expect(() => ask("pg-3")).toThrow(
    'standby "pg-3" of Cluster production/pg does not stream from the primary, so it cannot take over: the slot is gone',
  );
  expect(ask()).toBe("pg-2");
});
