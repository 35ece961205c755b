import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { testFolder } from "../postgres/testing/test-server.ts";
import { readCatalogue } from "../repository/catalogue.ts";
import { backupPrefix, basePrefix } from "../repository/keys.ts";
import { requireSound } from "./testing/require-sound.ts";
import { deleteIncompleteBackups, findIncompleteBackups } from "./incomplete.ts";
import type { BackupChildOrder } from "./testing/backup-child.ts";
import {
  backupLab,
  serveRestored,
  unpackByHand,
  type BackupLab,
  type LabRepository,
} from "./testing/backup-lab.ts";

const child = fileURLToPath(new URL("testing/backup-child.ts", import.meta.url));

/** Runs a backup that kills itself at `point`; resolves with the signal that ended it. */
async function killedAt(
  lab: BackupLab,
  point: string,
  into: readonly LabRepository[] = [lab],
): Promise<string | null> {
  const order: BackupChildOrder = {
    repositories: into.map(({ storeRoot }) => ({ root: storeRoot })),
    connection: lab.server.server.connection,
  };
  const argument = JSON.stringify(order);
  const process_ = spawn(process.execPath, [child, argument], {
    env: { ...process.env, TIDEMARK_FAULT_POINT: point },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [, signal] = (await once(process_, "exit")) as [number | null, string | null];
  return signal;
}

async function leftIn(lab: LabRepository, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const entry of lab.store.list(prefix)) if (entry.kind === "object") keys.push(entry.key);
  for await (const upload of lab.store.abandonedUploads(prefix)) keys.push(`upload of ${upload.key}`);
  return keys;
}

describe("a backup that is killed", () => {
  it("is never listed as good at any step, and the next backup removes what it left", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    await lab.server.sql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i");

    for (const step of [
      "after-start",
      "mid-part",
      "parts-complete",
      "after-stop",
      "manifest-written",
      "before-info",
    ]) {
      expect([step, await killedAt(lab, `backup:${step}`)]).toEqual([step, "SIGKILL"]);
      const left = await readCatalogue(lab.repository);
      expect([step, left.map(({ kind }) => kind)]).toEqual([step, ["incomplete"]]);
      // In the middle of a part the stores hold uploads that nobody will complete.
      const keysLeft = await leftIn(lab, basePrefix(lab.repository.server));
      expect(step !== "mid-part" || keysLeft.some((key) => key.startsWith("upload of "))).toBe(true);
      const [running] = await findIncompleteBackups(lab.repository);
      expect(running?.mark).toMatchObject({ dataDirectory: lab.server.dataDirectory });

      // The server gives the dead session's lock back when it notices that the socket is closed.
      const { id } = await lab.backUp();
      const after = await readCatalogue(lab.repository);
      expect([step, after.map((entry) => [entry.id, entry.kind])]).toEqual([step, [[id, "done"]]]);
      const keys = await leftIn(lab, basePrefix(lab.repository.server));
      expect(keys.filter((key) => !key.startsWith(backupPrefix(lab.repository.server, id)))).toEqual([]);
      await lab.store.delete(keys);
    }

    const { id } = await lab.backUp();
    const target = await folder.make("restored");
    await unpackByHand(lab, id, target);
    await using restored = await serveRestored(lab, folder, target);
    expect(await restored.sql("SELECT count(*)::int FROM t")).toEqual([{ count: 200_000 }]);
  });

  it("is good when it was killed after backup.info, whatever it still wanted to tidy up", async () => {
    await using lab = await backupLab();

    expect(await killedAt(lab, "backup:info-written")).toBe("SIGKILL");

    expect((await readCatalogue(lab.repository)).map(({ kind }) => kind)).toEqual(["done"]);
    await lab.backUp();
    expect((await readCatalogue(lab.repository)).map(({ kind }) => kind)).toEqual(["done", "done"]);
  });

  it("of two repositories, is in each good or not listed as good, and the next backup removes what it left in both", async () => {
    await using lab = await backupLab({ repositories: 2 });
    const both = [lab, lab.second];

    for (const step of ["mid-part", "manifest-written", "before-info", "info-written"]) {
      expect([step, await killedAt(lab, `backup:${step}`, both)]).toEqual([step, "SIGKILL"]);
      const kinds: (string | undefined)[] = [];
      for (const each of both) {
        await requireSound(each.repository);
        kinds.push((await readCatalogue(each.repository))[0]?.kind);
      }
      expect([step, kinds.includes("done")]).toEqual([step, step === "info-written"]);

      const { id, missing } = await lab.backUp();
      expect(missing).toEqual([]);
      for (const each of both) {
        const prefix = backupPrefix(each.repository.server, id);
        const done = (await readCatalogue(each.repository)).filter(({ kind }) => kind === "done");
        expect(done.at(-1)?.id).toBe(id);
        const keys = await leftIn(each, basePrefix(each.repository.server));
        // What was visible already stays.
        expect(done.length === 1 ? keys.filter((key) => !key.startsWith(prefix)) : []).toEqual([]);
        await each.store.delete(keys);
      }
    }
  });

  it("is spared by the explicit clean-up while it may be running, and removed when silent or by force", async () => {
    await using lab = await backupLab();
    await killedAt(lab, "backup:parts-complete");
    const later = new Date(Date.now() + 31 * 60_000);

    const spared = await deleteIncompleteBackups(lab.repository, { now: new Date() });
    const planned = await deleteIncompleteBackups(lab.repository, { now: later, dryRun: true });
    const deleted = await deleteIncompleteBackups(lab.repository, { now: later });

    expect(spared.map(({ outcome }) => outcome.kind)).toEqual(["spared"]);
    expect(planned.map(({ outcome }) => outcome.kind)).toEqual(["would-delete"]);
    expect(deleted.map(({ outcome }) => outcome.kind)).toEqual(["deleted"]);
    expect(await leftIn(lab, basePrefix(lab.repository.server))).toEqual([]);
  });

  it("frees the server: a second backup at the same time is refused, one after it is not", async () => {
    await using lab = await backupLab();
    const first = lab.backUp();
    await new Promise((resolve) => setTimeout(resolve, 100));

    await expect(lab.backUp()).rejects.toMatchObject({ code: "locked" });
    await first;
    await lab.backUp();

    expect((await readCatalogue(lab.repository)).map(({ kind }) => kind)).toEqual(["done", "done"]);
  });
});
