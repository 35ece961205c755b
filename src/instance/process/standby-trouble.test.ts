import { expect, test } from "vitest";
import { troubleIn } from "./standby-trouble.ts";

const at = (text: string) => `2026-11-22 10:00:00.123 UTC [77] ${text}`;

test.each([
  [
    "FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 000000010000000000000003 has already been removed",
    "wal-removed",
  ],
  [
    "LOG:  new timeline 2 forked off current database system timeline 1 before current recovery point 0/5000148",
    "diverged",
  ],
  [
    "FATAL:  could not start WAL streaming: ERROR:  requested starting point 0/5000000 on timeline 1 is not in this server's history",
    "diverged",
  ],
  ["FATAL:  highest timeline 1 of the primary is behind recovery timeline 2", "diverged"],
  ["PANIC:  could not locate a valid checkpoint record at 0/5000148", "damaged"],
  ['FATAL:  could not open directory "base": No such file or directory', "damaged"],
  ['FATAL:  could not start WAL streaming: ERROR:  replication slot "tidemark_pg_2" does not exist', "other"],
])("%s", (line, kind) => {
  expect(troubleIn([at(line)])?.kind).toBe(kind);
});

test("what does not pass by itself counts, whatever is said after it", () => {
  const lines = [
    at(
      "LOG:  new timeline 3 forked off current database system timeline 2 before current recovery point 0/1",
    ),
    at("FATAL:  could not connect to the primary server: connection refused"),
  ];

  expect(troubleIn(lines)).toEqual({
    kind: "diverged",
    message: "new timeline 3 forked off current database system timeline 2 before current recovery point 0/1",
  });
});

test("a session's failure is no trouble of the standby", () => {
  const lines = [
    at('ERROR:  could not open file "base/5/16384": No such file or directory'),
    at('FATAL:  password authentication failed for user "app"'),
    at("LOG:  database system is ready to accept read-only connections"),
  ];

  expect(troubleIn(lines)).toBeUndefined();
});
