import { expect, test } from "vitest";
import { judgeServer } from "./server-health.ts";
import { serverStatus } from "./server-report.ts";
import { readServerStatus } from "./server-status.ts";
import { archivingStatus, attachedStatus, postgresStatus } from "./testing/sample-server.ts";

type Reported = Parameters<typeof judgeServer>[1];

/** The status that follows on an earlier one. */
function reported(status: Reported, before: unknown = {}) {
  return serverStatus({
    generation: 1,
    remembered: readServerStatus(before),
    health: judgeServer(undefined, status),
    status,
    backups: { backups: [], scheduleStatuses: new Map() },
    windows: undefined,
    now: new Date("2026-11-21T12:00:00Z"),
  });
}

const archivingIn = (status: unknown) =>
  readServerStatus(status).conditions.find(({ type }) => type === "ContinuousArchiving");

test("settings that were corrected are not blamed any more, also before anything was archived", () => {
  const nothingYet = archivingStatus({ lastArchived: undefined });
  const unset = reported(
    attachedStatus({ archiving: nothingYet, postgres: postgresStatus({ archiveMode: "off" }) }),
  );
  expect(archivingIn(unset)).toMatchObject({ status: "False", reason: "ContinuousArchivingFailing" });

  expect(archivingIn(reported(undefined, unset))).toEqual(archivingIn(unset));
  expect(archivingIn(reported(attachedStatus({ archiving: nothingYet }), unset))).toBeUndefined();
  expect(archivingIn(reported(attachedStatus(), unset))).toMatchObject({ status: "True" });
});
