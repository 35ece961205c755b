import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createLog, silentLog } from "../../common/log.ts";
import { testFolder } from "../../postgres/testing/test-server.ts";
import { writeTablespaceMark } from "../../restore/marker.ts";
import { instanceFolder, type InstanceFolder } from "../instance-folder.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import { createAttempt, digestOf, findAttempts } from "./attempt.ts";
import { removeAttempt } from "./remove-attempt.ts";
import { isResumable } from "./resume.ts";
import { newCluster } from "./testing/bootstrap-lab.ts";

const recovery: Extract<InstanceBootstrap, { kind: "recovery" }> = {
  kind: "recovery",
  server: "origin",
  repositories: [{ url: "s3://bucket", endpoint: "https://one.example", caFile: "/ca.pem" }],
  backup: "auto",
  timeline: "latest",
  target: { kind: "latest" },
  tablespaces: {},
};

async function lab(): Promise<{ folder: InstanceFolder } & AsyncDisposable> {
  const place = await testFolder();
  const folder = instanceFolder(await place.make("instance"));
  return { folder, [Symbol.asyncDispose]: async () => place[Symbol.asyncDispose]() };
}

describe("an attempt", () => {
  test("is found again by the next process, with what it noted", async () => {
    await using place = await lab();
    const attempt = await createAttempt(place.folder, recovery, undefined);
    await attempt.note({ backup: "20260101T000000", tablespaces: ["/mnt/fast"] });

    const [found] = await findAttempts(place.folder, undefined, silentLog);

    expect(found).toMatchObject({ id: attempt.id, data: attempt.data });
    expect(found?.mark).toEqual(attempt.mark);
  });

  test("that was hardly begun is removed, and what is none is left alone and named", async () => {
    await using place = await lab();
    const folder = join(place.folder.root, "bootstrap");
    const lines: string[] = [];
    await mkdir(join(folder, "0123456789abcdef"), { recursive: true });
    await writeFile(join(folder, "0123456789abcdef", ".attempt.json.1-ab.tmp"), "{");
    await mkdir(join(folder, "fedcba9876543210"));
    await writeFile(join(folder, "fedcba9876543210", "somebody's"), "");
    await mkdir(join(folder, "notes"));
    await writeFile(join(folder, "aaaaaaaaaaaaaaaa"), "a file");

    const found = await findAttempts(
      place.folder,
      undefined,
      createLog((level, _message, { path }) => lines.push(`${level} ${path}`)),
    );

    expect(found).toEqual([]);
    expect((await readdir(folder)).toSorted()).toEqual(["aaaaaaaaaaaaaaaa", "fedcba9876543210", "notes"]);
    expect(lines.toSorted()).toEqual([
      `warn ${join(folder, "aaaaaaaaaaaaaaaa")}`,
      `warn ${join(folder, "fedcba9876543210")}`,
      `warn ${join(folder, "notes")}`,
    ]);
  });

  test("is removed with the tablespaces that it filled, and with nothing that others put there", async () => {
    await using place = await lab();
    const { folder } = place;
    const attempt = await createAttempt(folder, recovery, undefined);
    const [marked, linked, foreign] = ["marked", "linked", "foreign"].map((name) =>
      join(folder.tablespaces, name),
    ) as [string, string, string];
    await attempt.note({ tablespaces: [marked, linked, foreign, join(folder.tablespaces, "never-made")] });
    for (const directory of [marked, linked, foreign]) {
      await mkdir(join(directory, "PG_17_202406281", "5"), { recursive: true });
    }
    await writeTablespaceMark(marked, attempt.id);
    await writeTablespaceMark(foreign, "another");
    await mkdir(join(attempt.data, "pg_tblspc"), { recursive: true });
    await mkdir(join(attempt.data, "pg_tblspc", "16390"));
    await symlink(linked, join(attempt.data, "pg_tblspc", "16385"));
    await writeFile(join(linked, "notes.txt"), "theirs");

    await removeAttempt(folder, attempt, silentLog);

    expect((await readdir(folder.tablespaces)).toSorted()).toEqual(["foreign", "linked"]);
    expect(await readdir(linked)).toEqual(["notes.txt"]);
    expect((await readdir(foreign)).toSorted()).toEqual([".tidemark-restore.json", "PG_17_202406281"]);
    expect(await readdir(join(folder.root, "bootstrap"))).toEqual([]);
  });
});

describe("an interrupted copy", () => {
  const copy: Extract<InstanceBootstrap, { kind: "copy" }> = {
    kind: "copy",
    host: "/run/pg",
    port: 5432,
    dataDirectory: "/srv/pg",
  };

  test("is gone on with once it is promoted, wherever its origin is reached now, and else begun anew", async () => {
    await using place = await lab();
    const attempt = await createAttempt(place.folder, copy, undefined);

    expect(await isResumable(attempt, copy)).toBe(false);
    await attempt.note({ promoted: true });

    expect(await isResumable(attempt, copy)).toBe(true);
    const application = { database: "app", owner: "app" };
    expect(await isResumable(attempt, { ...copy, host: "/run/other", port: 5433, application })).toBe(true);
    expect(await isResumable(attempt, { ...copy, dataDirectory: "/srv/other" })).toBe(false);
    expect(await isResumable(attempt, { ...copy, kind: "clone" })).toBe(false);
  });
});

describe("an interrupted recovery", () => {
  async function restored(place: { readonly folder: InstanceFolder }) {
    const attempt = await createAttempt(place.folder, recovery, undefined);
    await attempt.note({ backup: "20260101T000000" });
    await mkdir(join(attempt.data, "global"), { recursive: true });
    await writeFile(join(attempt.data, "global", "pg_control"), "");
    await writeFile(join(attempt.data, "recovery.signal"), "");
    return attempt;
  }

  test("is gone on with when its files are whole and it has not ended", async () => {
    await using place = await lab();
    const attempt = await restored(place);

    expect(await isResumable(attempt, recovery)).toBe(true);
    expect(await isResumable(attempt, { ...recovery, target: { kind: "immediate" } })).toBe(false);
    expect(await isResumable(attempt, newCluster)).toBe(false);
  });

  test("is begun anew while its files are not whole, and when nobody saw how it ended", async () => {
    await using place = await lab();
    const fresh = await createAttempt(place.folder, recovery, undefined);
    const marked = await restored(place);
    await writeFile(join(marked.data, ".tidemark-restore.json"), "{}");

    expect(await isResumable(fresh, recovery)).toBe(false);
    expect(await isResumable(marked, recovery)).toBe(false);
  });

  test("is begun anew when going on has not helped three times, but not once it reached its target", async () => {
    await using place = await lab();
    const attempt = await restored(place);

    await attempt.note({ resumed: 3 });
    expect(await isResumable(attempt, recovery)).toBe(false);
    await attempt.note({ recovered: { plan: [], backupId: "20260101T000000" } });
    expect(await isResumable(attempt, recovery)).toBe(true);
  });

  test("survives a change in how its repository is reached, but not one of the place", () => {
    const [repository] = recovery.repositories;
    const reached = { ...recovery, repositories: [{ ...repository!, caFile: "/other.pem" }] };
    const elsewhere = { ...recovery, repositories: [{ ...repository!, endpoint: "https://two.example" }] };

    expect(digestOf(reached)).toBe(digestOf(recovery));
    expect(digestOf(elsewhere)).not.toBe(digestOf(recovery));
  });
});
