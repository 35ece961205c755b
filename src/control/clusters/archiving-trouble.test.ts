import { expect, test } from "vitest";
import { archivingTrouble } from "./archiving-trouble.ts";

test("rescued WAL that does not reach the archive is a trouble, whatever else does", () => {
  const rescue = { key: "k", state: "done", waitingFiles: 2 } as const;

  expect(archivingTrouble({ rescue })).toBeUndefined();
  expect(archivingTrouble({ rescue: { ...rescue, archivingError: "no answer within 60 s" } })).toBe(
    "WAL of a primary that is gone is not in the archive yet: no answer within 60 s",
  );
});
