import { describe, expect, it } from "vitest";
import { errorCodes } from "../common/error-codes.ts";
import { EngineError } from "../common/errors.ts";
import { exitStatusFor } from "./exit-status.ts";

describe("exit statuses", () => {
  it("are different for every error code, and never one a shell or PostgreSQL uses", () => {
    const statuses = Object.values(errorCodes).map(({ exit }) => exit);

    expect(new Set(statuses).size).toBe(statuses.length);
    for (const status of statuses) expect(status).toBeGreaterThan(0);
    for (const status of statuses) expect(status).toBeLessThan(126);
  });

  it("tell PostgreSQL's restore_command only a certain absence as one below 126", () => {
    expect(exitStatusFor(new EngineError("wal-absent", "no"), "restore-command")).toBe(1);
    for (const code of ["store-unavailable", "object-corrupt", "usage", "aborted", "internal"] as const) {
      expect(exitStatusFor(new EngineError(code, "trouble"), "restore-command")).toBe(150);
    }
    expect(exitStatusFor(new TypeError("a bug"), "restore-command")).toBe(150);
  });

  it("tell our own script of an absence in a way that nothing else can", () => {
    const absent = new EngineError("wal-absent", "no");

    expect(exitStatusFor(absent, "restore-command", { TIDEMARK_ABSENT_STATUS: "81" })).toBe(81);
    expect(exitStatusFor(absent, "restore-command", { TIDEMARK_ABSENT_STATUS: "0" })).toBe(1);
    expect(exitStatusFor(new TypeError("a bug"), "restore-command", { TIDEMARK_ABSENT_STATUS: "81" })).toBe(
      150,
    );
    expect(Object.values(errorCodes).map(({ exit }): number => exit)).not.toContain(81);
  });

  it("take anything that is not ours for a bug", () => {
    expect(exitStatusFor(new TypeError("a bug"))).toBe(1);
  });
});
