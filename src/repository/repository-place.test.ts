import { mkdir, mkdtempDisposable, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireDifferentPlaces } from "./repository-place.ts";
import { parseServerName } from "./server-name.ts";

const server = parseServerName("main");
const check = async (...settings: { url: string; server?: string; endpoint?: string }[]) =>
  requireDifferentPlaces(
    settings.map((entry, index) => ({ name: `repo${index + 1}`, ...entry })),
    server,
  );

test.each([
  ["/srv/backup", "/srv/backup/"],
  ["/srv/backup", "/srv/other/../backup"],
  ["/srv/backup", "file:///srv/backup"],
  ["s3://bucket/path", "s3://bucket/path/"],
])("%s and %s are one place", async (one, two) => {
  await expect(check({ url: one }, { url: two })).rejects.toMatchObject({
    code: "config",
    message: '"repo1" and "repo2" are the same repository',
  });
});

test("a link leads to the place that it names", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "tidemark-place-"));
  await mkdir(join(folder.path, "backup"));
  await symlink("backup", join(folder.path, "link"));

  await expect(
    check({ url: join(folder.path, "backup") }, { url: join(folder.path, "link") }),
  ).rejects.toMatchObject({ code: "config" });
});

test("another server name, another endpoint or another path is another place", async () => {
  await expect(
    check(
      { url: "/srv/backup" },
      { url: "/srv/backup", server: "copy" },
      { url: "/srv/backup/main" },
      { url: "s3://bucket/path" },
      { url: "s3://bucket/path", endpoint: "https://minio.example.org" },
    ),
  ).resolves.toBeUndefined();
});
