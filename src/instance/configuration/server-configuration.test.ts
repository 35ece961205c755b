import { describe, expect, test } from "vitest";
import type { ControlFileSettings } from "../../postgres/control-file.ts";
import { readAssignments } from "../../restore/configuration.ts";
import { formatServerConfiguration } from "./server-configuration.ts";
import { slotNameOf } from "./slot-name.ts";

const origin: ControlFileSettings = {
  walLevel: "logical",
  walLogHints: true,
  maxConnections: 200,
  maxWorkerProcesses: 32,
  maxWalSenders: 10,
  maxPreparedTransactions: 5,
  maxLocksPerTransaction: 64,
  trackCommitTimestamp: false,
};

const mib = 1024 * 1024;
const recovering = { settings: origin, walSegmentSizeBytes: 16 * mib, recovering: true };
const primary = { name: "pg-1", role: { kind: "primary" } } as const;

/** What the server reads: the last assignment of a name counts. */
function settingsOf(text: string): Record<string, string> {
  return Object.fromEntries(readAssignments(text).map(({ name, value }) => [name, value]));
}

describe("an instance's postgresql.conf", () => {
  test("holds the parameters of the specification, with whatever is in their values", () => {
    const { text, ignored, raised } = formatServerConfiguration(
      {
        ...primary,
        parameters: {
          shared_buffers: "1GB",
          search_path: `"a'b", public`,
          log_line_prefix: "%m\\ [%p] ",
          "my.setting": "x\ny",
        },
      },
      undefined,
    );

    expect(text).toContain(`shared_buffers = '1GB'\n`);
    expect(text).toContain(`search_path = '"a''b", public'\n`);
    expect(text).toContain(`log_line_prefix = '%m\\\\ [%p] '\n`);
    expect(text).toContain(`my.setting = 'x\\ny'\n`);
    expect({ ignored, raised }).toEqual({ ignored: [], raised: {} });
  });

  test.each([
    "archive_mode",
    "Archive_Command",
    "restore_command",
    "port",
    "HBA_FILE",
    "data_directory",
    "listen_addresses",
    "unix_socket_directories",
    "primary_conninfo",
    "primary_slot_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "hot_standby",
    "logging_collector",
    "log_destination",
    "include_dir",
    "include_if_exists",
    "archive_library",
    "stats_temp_directory",
  ])("does not take %s from the specification", (name) => {
    const { text, ignored } = formatServerConfiguration(
      { ...primary, parameters: { [name]: "theirs" } },
      undefined,
    );

    expect(ignored).toEqual([name]);
    expect(text).not.toContain("theirs");
  });

  test("takes no WAL level with which nothing can be archived", () => {
    const configuration = (value: string) =>
      formatServerConfiguration({ ...primary, parameters: { wal_level: value } }, undefined);

    expect(configuration(" Minimal").ignored).toEqual(["wal_level"]);
    expect(configuration("logical").ignored).toEqual([]);
  });

  test("refuses a name that is none", () => {
    const parameters = { "work_mem = 1\nport": "1" };

    expect(() => formatServerConfiguration({ ...primary, parameters }, undefined)).toThrow(
      expect.objectContaining({ code: "usage" }),
    );
  });

  test("raises what a server in recovery may not have less of than its origin", () => {
    const parameters = { max_connections: "50", max_worker_processes: "40" };

    const { text, raised } = formatServerConfiguration({ ...primary, parameters }, recovering);

    expect(raised).toEqual({ max_connections: "200", max_prepared_transactions: "5" });
    expect(settingsOf(text)).toMatchObject({
      max_connections: "200",
      max_worker_processes: "40",
      max_prepared_transactions: "5",
    });
    expect(settingsOf(text)["max_wal_senders"]).toBeUndefined();
    const promoted = formatServerConfiguration(
      { ...primary, parameters },
      { ...recovering, recovering: false },
    );
    expect(promoted.raised).toEqual({});
  });

  test("has initdb's defaults, by the size of a segment, where the specification does not say otherwise", () => {
    const settings = (parameters: Record<string, string>, segmentMib: number) =>
      settingsOf(
        formatServerConfiguration(
          { ...primary, parameters },
          { settings: origin, walSegmentSizeBytes: segmentMib * mib, recovering: false },
        ).text,
      );

    expect(settings({}, 16)).toMatchObject({
      shared_buffers: "128MB",
      password_encryption: "scram-sha-256",
      min_wal_size: "80MB",
      max_wal_size: "1024MB",
    });
    expect(settings({ Max_WAL_Size: "5GB", timezone: "Europe/Vienna" }, 64)).toMatchObject({
      min_wal_size: "320MB",
      max_wal_size: "5GB",
      timezone: "Europe/Vienna",
    });
  });

  test("says where a standby's primary is, and to a primary that there is none", () => {
    const role = { kind: "standby", host: "/run/it's here\\", port: 5433 } as const;

    const standby = formatServerConfiguration({ name: "pg-2", role, parameters: {} }, undefined);

    // As libpq reads it: a backslash before each quote and backslash.
    expect(standby.text).toContain(
      String.raw`primary_conninfo = 'host=''/run/it\\''s here\\\\'' port=''5433'' user=''postgres'' application_name=''pg-2'''`,
    );
    expect(formatServerConfiguration({ ...primary, parameters: {} }, undefined).text).toContain(
      "primary_conninfo = ''\n",
    );
  });
});

test("a slot's name is one that PostgreSQL takes, and tells the instances of a cluster apart", () => {
  const long = "a".repeat(50);

  expect(slotNameOf("pg-1")).toBe("tidemark_pg_1");
  expect(slotNameOf("My.Cluster-12")).toBe("tidemark_my_cluster_12");
  expect(slotNameOf(`${long}-12`)).toBe(`tidemark_${long}_12`);
  expect(slotNameOf(long.repeat(2))).toHaveLength(63);
});
