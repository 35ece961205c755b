import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { silentLog } from "../../common/log.ts";
import { testFolder } from "../../postgres/testing/test-server.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { noSource, openSources } from "./recovery-sources.ts";

const server = parseServerName("origin");
const refused = new EngineError(
  "target-unreachable",
  "this cannot be restored: the archive ends at 0/5000000",
  {
    hint: "Restore to an earlier position.",
  },
);
const absent = new EngineError("backup-absent", 'there is no backup "x"');
const denied = new EngineError("store-denied", "could not list: AccessDenied");
const down = new EngineError("store-unavailable", "could not list: ECONNREFUSED");

const failures = (...errors: EngineError[]) =>
  errors.map((error, index) => ({ repository: `repo${index + 1}`, error }));

describe("when no repository will do", () => {
  test("the only one's reason is the reason", () => {
    expect(noSource(server, failures(refused))).toBe(refused);
    expect(noSource(server, failures(down))).toBe(down);
  });

  test("the target cannot be reached only if every one of them says so", () => {
    expect(noSource(server, failures(absent, refused))).toMatchObject({
      code: "target-unreachable",
      message:
        'no repository of "origin" will do: "repo1": there is no backup "x"; "repo2": this cannot be restored: the archive ends at 0/5000000',
      hint: "Restore to an earlier position.",
      retryable: false,
    });
  });

  test.each([
    [[refused, down], "store-unavailable"],
    [[denied, refused], "store-denied"],
    [[denied, down], "store-unavailable"],
    [[absent, absent], "backup-absent"],
  ] as const)("an outage is worth waiting for: case %#", (errors, code) => {
    expect(noSource(server, failures(...errors))).toMatchObject({ code });
  });
});

test("sources that cannot be opened do not hinder the others", async () => {
  await using folder = await testFolder();
  await mkdir(join(folder.path, "there"));

  await using sources = await openSources(
    [
      { url: join(folder.path, "unmounted"), name: "disk" },
      { url: "s3://bucket", credentialsFile: join(folder.path, "gone.json") },
      { url: join(folder.path, "there") },
    ],
    server,
    silentLog,
    new AbortController().signal,
  );

  expect(sources.repositories.map(({ name }) => name)).toEqual(["repo3"]);
  expect(sources.failures.map(({ repository, error }) => [repository, error.code])).toEqual([
    ["disk", "store-missing"],
    ["repo2", "config"],
  ]);
});
