import { expect, test } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { requestServerBackup } from "./request-backup.ts";
import { readServerStatus } from "./server-status.ts";
import { serverDraft } from "./testing/sample-server.ts";

const key = { kind: "Server", namespace: "production", name: "main" };
const now = new Date("2026-11-21T12:00:00Z");

test("a backup that is asked for is noted in the Server's status, beside what stands there", async () => {
  const store = await (await temporaryResources()).open(new ManualClock());
  store.create(serverDraft());
  store.setStatus(key, { phase: "Archiving", backups: [] }, {});

  expect(requestServerBackup(key, { store, name: undefined, now })).toBe("main-20261121120000");
  expect(requestServerBackup(key, { store, name: "before-it", now })).toBe("before-it");

  expect(store.require(key).status?.["phase"]).toBe("Archiving");
  expect(readServerStatus(store.require(key).status).backups).toEqual([
    { name: "main-20261121120000", createdAt: "2026-11-21T12:00:00Z", phase: "pending" },
    { name: "before-it", createdAt: "2026-11-21T12:00:00Z", phase: "pending" },
  ]);
});

test("a name that is taken or cannot be one is refused, and a Server that is not there", async () => {
  const store = await (await temporaryResources()).open(new ManualClock());
  expect(() => requestServerBackup(key, { store, name: undefined, now })).toThrow(
    expect.objectContaining({ code: "resource-missing" }),
  );
  store.create(serverDraft());
  requestServerBackup(key, { store, name: "one", now });

  expect(() => requestServerBackup(key, { store, name: "one", now })).toThrow(
    expect.objectContaining({
      code: "resource-exists",
      message: 'Server production/main has a backup "one" already',
    }),
  );
  expect(() => requestServerBackup(key, { store, name: "../one", now })).toThrow(
    expect.objectContaining({ code: "usage" }),
  );
});
