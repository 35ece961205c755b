import { describe, expect, test } from "vitest";
import type { AttachedStatus } from "../../instance/attached/attached-status.ts";
import { judgeServer, settingsFor, systemOfServer } from "./server-health.ts";
import { archivingStatus, attachedStatus, postgresStatus, sampleCommand } from "./testing/sample-server.ts";

const line = `archive_command = '${sampleCommand}'`;
const postgres = (change: Parameters<typeof postgresStatus>[0]) =>
  attachedStatus({ postgres: postgresStatus(change) });

describe("a server", () => {
  test("is well when PostgreSQL answers, asks the agent, and WAL arrives", () => {
    expect(judgeServer(undefined, attachedStatus())).toEqual({
      phase: "Archiving",
      phaseReason: undefined,
      ready: { type: "Ready", status: "True", reason: "ServerIsReady", message: "Server is ready" },
      archiving: {
        type: "ContinuousArchiving",
        status: "True",
        reason: "ContinuousArchivingSuccess",
        message: "Continuous archiving is working",
      },
      backupTrouble: undefined,
    });
  });

  test.each<[string, AttachedStatus | undefined, string, string]>([
    ["its agent does not answer", undefined, "AgentNotRunning", "the agent does not answer"],
    [
      "PostgreSQL does not answer",
      attachedStatus({ postgres: undefined, postgresError: { code: "postgres-failed", message: "no" } }),
      "PostgresUnreachable",
      "no",
    ],
    [
      "PostgreSQL does not take the password",
      attachedStatus({
        postgres: undefined,
        postgresError: {
          code: "postgres-failed",
          message: "no",
          hint: "Check the password (PGPASSWORD, …).",
        },
      }),
      "PostgresUnreachable",
      "no. Correct connection.user, or the Secret that connection.password names",
    ],
    [
      "the connection leads to another system",
      postgres({ systemIdentifier: "8" }),
      "SystemMismatch",
      "the connection leads to system 8, and the data directory is that of system 7: correct connection or dataDirectory",
    ],
    [
      "PostgreSQL does not archive at all",
      postgres({ archiveMode: "off", archivingBy: "nobody" }),
      "ArchivingNotConfigured",
      `archive_mode is off: write archive_mode = 'on' and ${line} into postgresql.conf and restart PostgreSQL`,
    ],
    [
      "archive_command is empty",
      postgres({ archivingBy: "nobody" }),
      "ArchivingNotConfigured",
      `archive_command is empty: write ${line} into postgresql.conf and reload it (SELECT pg_reload_conf())`,
    ],
    [
      "archive_command is another's",
      postgres({ archivingBy: "command" }),
      "ArchivingNotConfigured",
      `archive_command does not ask this agent: write ${line} into postgresql.conf and reload it (SELECT pg_reload_conf())`,
    ],
    [
      "a library archives",
      postgres({ archivingBy: "library" }),
      "ArchivingNotConfigured",
      `archive_library is set, so archive_command is not asked: empty it, write ${line} into postgresql.conf and reload it (SELECT pg_reload_conf())`,
    ],
  ])("is not ready while %s, and takes no backups", (_title, status, reason, message) => {
    expect(judgeServer(undefined, status)).toMatchObject({
      phaseReason: message,
      ready: { status: "False", reason, message },
      backupTrouble: message,
    });
  });

  test.each<[string, AttachedStatus, string]>([
    [
      "another agent has the spool",
      attachedStatus({
        archiving: undefined,
        archivingError: { code: "locked", message: 'another agent (process 5) serves the spool "/spool"' },
      }),
      'another agent (process 5) serves the spool "/spool"',
    ],
    [
      "the archive is not empty",
      attachedStatus({
        archiving: undefined,
        archivingError: { code: "object-exists", message: "it holds x", hint: "Give it another name." },
      }),
      "it holds x. Give it another name.",
    ],
    [
      "a segment was refused",
      attachedStatus({
        archiving: archivingStatus({ refused: [{ name: "1", code: "wal-conflict", message: "a conflict" }] }),
      }),
      "a conflict",
    ],
    [
      "PostgreSQL says that it cannot archive",
      postgres({
        archiver: {
          lastArchived: { name: "1", at: "2026-11-21T11:00:00.000Z" },
          lastFailed: { name: "2", at: "2026-11-21T11:00:01.000Z" },
        },
      }),
      "PostgreSQL says that archive_command last failed for 2 at 2026-11-21T11:00:01.000Z; its log has the command's output",
    ],
  ])("is ready and does not archive when %s", (_title, status, message) => {
    expect(judgeServer(undefined, status)).toMatchObject({
      phase: "Archiving fails",
      phaseReason: message,
      ready: { status: "True" },
      archiving: { status: "False", reason: "ContinuousArchivingFailing", message },
      backupTrouble: message,
    });
  });

  test("has forgotten a failure when something was archived since", () => {
    const archiver = {
      lastArchived: { name: "2", at: "2026-11-21T11:00:02.000Z" },
      lastFailed: { name: "2", at: "2026-11-21T11:00:01.000Z" },
    };

    expect(judgeServer(undefined, postgres({ archiver })).archiving?.status).toBe("True");
  });

  test("is what is known without its agent before all", () => {
    const trouble = { phase: "Refused", reason: "WrongUser", message: "it is another's" };

    expect(judgeServer(trouble, attachedStatus())).toMatchObject({
      phase: "Refused",
      ready: { reason: "WrongUser", message: "it is another's" },
    });
  });

  test("shows the lines for postgresql.conf as soon as its system is known", () => {
    expect(settingsFor(attachedStatus())).toBe(`archive_mode = 'on'\n${line}\narchive_timeout = '60'\n`);
    expect(settingsFor({ archiveCommand: undefined })).toBeUndefined();
  });

  test("lets retention act for its system only as a primary that is where its data directory is", () => {
    expect(systemOfServer(attachedStatus())).toBe(7n);
    expect(systemOfServer(postgres({ role: "standby" }))).toBeUndefined();
    expect(systemOfServer(postgres({ systemIdentifier: "8" }))).toBeUndefined();
    expect(systemOfServer(undefined)).toBeUndefined();
  });
});
