import { describe, expect, test } from "vitest";
import type { ControlFileSettings } from "../postgres/control-file.ts";
import { readAssignments, requiredMinimums, withoutForeignPlaces } from "./configuration.ts";

test("assignments are read as PostgreSQL reads them", () => {
  const text = [
    "# max_connections = 1",
    "max_connections = 100 # why not",
    "  Max_Connections=200",
    "max_wal_senders 7",
    "cluster_name = 'it''s \\'ours\\''",
    "include 'more.conf'",
    "include_dir = 'conf.d'",
    "data_directory'/srv'",
    "archive_command = ''",
    "nonsense",
  ].join("\n");

  expect(readAssignments(text).map(({ name, value }) => [name, value])).toEqual([
    ["max_connections", "100"],
    ["max_connections", "200"],
    ["max_wal_senders", "7"],
    ["cluster_name", "it's 'ours'"],
    ["include", "more.conf"],
    ["include_dir", "conf.d"],
    ["data_directory", "/srv"],
    ["archive_command", ""],
  ]);
});

test("lines that lead out of the restored directory are taken out, and includes that may not stay", () => {
  const text = [
    "data_directory = '/var/lib/postgresql/15/main'",
    "hba_file = '/etc/postgresql/15/main/pg_hba.conf'",
    "port = 5433",
    "include_dir = 'conf.d'",
    "include 'there.conf'",
    "include_if_exists 'perhaps.conf'",
  ].join("\n");

  const edit = withoutForeignPlaces(text, ({ value }) => value === "there.conf" || value === "perhaps.conf");

  expect(edit.takenOut).toEqual([
    "data_directory = '/var/lib/postgresql/15/main'",
    "hba_file = '/etc/postgresql/15/main/pg_hba.conf'",
    "include_dir = 'conf.d'",
  ]);
  expect(readAssignments(edit.text).map(({ name }) => name)).toEqual([
    "port",
    "include",
    "include_if_exists",
  ]);
  expect(withoutForeignPlaces(edit.text, () => true)).toEqual({ text: edit.text, takenOut: [] });
});

describe("what recovery needs at least", () => {
  const control: ControlFileSettings = {
    walLevel: "replica",
    walLogHints: false,
    maxConnections: 100,
    maxWorkerProcesses: 8,
    maxWalSenders: 10,
    maxPreparedTransactions: 0,
    maxLocksPerTransaction: 64,
    trackCommitTimestamp: false,
  };

  test("is nothing when the configuration has it, the last assignment counting", () => {
    expect(requiredMinimums([""], control)).toEqual({});
    expect(requiredMinimums(["max_connections = 5", "max_connections = 300"], control)).toEqual({});
  });

  test("is the control file's value where the configuration has less", () => {
    const more = { ...control, maxConnections: 300, maxPreparedTransactions: 7 };
    expect(requiredMinimums(["max_connections = 200"], more)).toEqual({
      max_connections: "300",
      max_prepared_transactions: "7",
    });
  });

  test("is all of them, the larger value each, where another file may set less", () => {
    expect(requiredMinimums(["max_connections = 200\ninclude_dir 'conf.d'"], control)).toEqual({
      max_connections: "200",
      max_worker_processes: "8",
      max_wal_senders: "10",
      max_prepared_transactions: "0",
      max_locks_per_transaction: "64",
    });
  });
});
