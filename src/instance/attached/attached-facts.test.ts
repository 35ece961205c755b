import { expect, test } from "vitest";
import { whoArchives } from "./attached-facts.ts";

const script = "/spool/7/archive.sh";
const ours = `test -e /spool/7/since/%f && true || exec /bin/sh ${script} "%p" %f`;

test.each([
  ["our command", { archiveMode: "on", archiveCommand: ours, archiveLibrary: "" }, "agent"],
  [
    "our command, before 15",
    { archiveMode: "always", archiveCommand: ours, archiveLibrary: undefined },
    "agent",
  ],
  [
    "a command that runs our script",
    { archiveMode: "on", archiveCommand: `nice sh ${script} %p %f`, archiveLibrary: "" },
    "agent",
  ],
  [
    "another command",
    { archiveMode: "on", archiveCommand: "cp %p /backups/%f", archiveLibrary: "" },
    "command",
  ],
  ["no command", { archiveMode: "on", archiveCommand: "", archiveLibrary: "" }, "nobody"],
  [
    "a library and our command",
    { archiveMode: "on", archiveCommand: ours, archiveLibrary: "basic_archive" },
    "library",
  ],
  ["archive_mode off", { archiveMode: "off", archiveCommand: "(disabled)", archiveLibrary: "" }, "nobody"],
] as const)("with %s WAL goes where PostgreSQL gives it", (_title, settings, result) => {
  expect(whoArchives(settings, script)).toBe(result);
});

test("while nobody knows which system it is, no command is ours", () => {
  const settings = { archiveMode: "on", archiveCommand: ours, archiveLibrary: "" } as const;

  expect(whoArchives(settings, undefined)).toBe("command");
});
