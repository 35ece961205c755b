import { expect, test } from "vitest";
import { tellingLines } from "./describe-end.ts";

test("what a server's log says is quoted without any statement, which may hold a password", () => {
  expect(
    tellingLines([
      "2026-11-21 10:00:00.000 UTC [7] LOG:  statement: ALTER ROLE app PASSWORD 'secret'",
      "2026-11-21 10:00:00.000 UTC [7] LOG:  duration: 3.1 ms  statement: SELECT 'secret'",
      "2026-11-21 10:00:00.000 UTC [7] ERROR:  syntax error",
      "2026-11-21 10:00:00.000 UTC [7] STATEMENT:  ALTER ROLE app PASWORD 'secret'",
      "2026-11-21 10:00:01.000 UTC [5] LOG:  server process (PID 9) was terminated by signal 9: Killed",
      "2026-11-21 10:00:01.000 UTC [5] DETAIL:  Failed process was running: ALTER ROLE app PASSWORD 'secret'",
      "2026-11-21 10:00:02.000 UTC [5] FATAL:  could not create lock file",
    ]),
  ).toEqual([
    "2026-11-21 10:00:01.000 UTC [5] LOG:  server process (PID 9) was terminated by signal 9: Killed",
    "2026-11-21 10:00:02.000 UTC [5] FATAL:  could not create lock file",
  ]);
});
