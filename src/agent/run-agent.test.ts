import { execFile } from "node:child_process";
import { access, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fetchWalFile } from "../archive/wal-file.ts";
import { temporaryFolder, testRepository } from "../archive/testing/archive-bench.ts";
import { makeSegment, segmentName } from "../archive/testing/wal-files.ts";
import { createLog } from "../common/log.ts";
import { claimRepository } from "../repository/claim.ts";
import { systemIdentifier } from "../postgres/system-identifier.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { askAgent } from "./agent-client.ts";
import { agentStatus } from "./agent-status.ts";
import { eventually, fakeCluster, startAgent, switchedStore, targetOf } from "./testing/agent-bench.ts";

const name = segmentName(3);
const acksOf = async (spoolRoot: string) =>
  (await readdir(join(spoolRoot, "ack"))).filter((entry) => !entry.startsWith(".")).sort();

async function stored(store: ObjectStore, wal: string): Promise<Buffer | undefined> {
  const destination = join(await temporaryFolder(), wal);
  const outcome = await fetchWalFile({ name: wal, destination, repositories: [testRepository(store)] });
  return outcome.kind === "absent" ? undefined : readFile(destination);
}

/** Runs the archive command as PostgreSQL does: with the shell, in the data directory. */
async function archiveCommand(command: string, dataDirectory: string, wal: string) {
  const line = command.replaceAll(
    /%[%pf]/g,
    (mark) => ({ "%%": "%", "%p": `pg_wal/${wal}`, "%f": wal })[mark] ?? mark,
  );
  return new Promise<{ code: number; stderr: string }>((resolve) => {
    execFile("/bin/sh", ["-c", line], { cwd: dataDirectory }, (error, _stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stderr }),
    );
  });
}

describe("the agent", () => {
  test("archives what is ready before PostgreSQL asks, acknowledges it, and forgets it when PostgreSQL has noted it", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    const first = await cluster.finish({ name });
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });
    await cluster.finish({ name: segmentName(4) });
    await cluster.ready("00000002.history", "1\t0/300000\tx\n");

    await eventually(async () =>
      expect(await acksOf(agent.spoolRoot)).toEqual([name, segmentName(4), "00000002.history"].sort()),
    );
    expect((await stored(store, name))?.equals(first)).toBe(true);
    const ack = JSON.parse(await readFile(join(agent.spoolRoot, "ack", name), "utf8")) as unknown;
    expect(ack).toMatchObject({
      name,
      systemIdentifier: String(agent.system.systemIdentifier),
      sizeBytes: first.length,
      checksum: expect.stringMatching(/^xxh64:[0-9a-f]{8}$/) as string,
      repositories: { main: `${store.url}/pg1` },
    });
    expect(await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name)).toEqual({
      code: 0,
      stderr: "",
    });

    await cluster.done(name);
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).not.toContain(name));
  });

  test("keeps its folder to itself", async () => {
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(await temporaryStore())],
    });
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));

    expect((await stat(agent.spoolRoot)).mode & 0o777).toBe(0o700);
    expect((await stat(join(agent.spoolRoot, "ack", name))).mode & 0o777).toBe(0o600);
    expect((await stat(join(agent.spoolRoot, "archive.sh"))).mode & 0o777).toBe(0o700);
  });

  test("is asked to wait by a command that comes first, and answers it", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });
    await cluster.finish({ name });

    expect(await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name)).toEqual({
      code: 0,
      stderr: "",
    });
    expect(await stored(store, name)).toBeDefined();
    await eventually(async () => expect(await readdir(join(agent.spoolRoot, "want"))).toEqual([]));
  });

  test("tells PostgreSQL at once why a file is refused", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    await cluster.ready(name, makeSegment({ name, system: systemIdentifier(5n) }));
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });

    const outcome = await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name);

    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain(`refused WAL segment "${name}": it was written by system 5`);
    const status = await agentStatus(agent);
    expect(status).toMatchObject({ waitingFiles: 1, refused: [{ name, code: "wal-refused" }] });
  });

  test("writes an acknowledgement later that it could not write at first", async () => {
    const cluster = await fakeCluster();
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(await temporaryStore())],
    });
    await rename(join(agent.spoolRoot, "ack"), join(agent.spoolRoot, "away"));
    await cluster.finish({ name });
    await eventually(async () =>
      expect((await agentStatus(agent)).lastFailure).toMatchObject({ error: { code: "file-io" } }),
    );

    await rename(join(agent.spoolRoot, "away"), join(agent.spoolRoot, "ack"));

    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    expect(await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name)).toMatchObject({
      code: 0,
    });
  });

  test("says in its log, once, what on this machine hinders archiving", async () => {
    const cluster = await fakeCluster();
    const lines: unknown[] = [];
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(await temporaryStore())],
      log: createLog((level, message, { segment, error }) => {
        if (level !== "info" && level !== "debug") lines.push({ level, message, segment, error });
      }),
    });
    // Whatever cannot be read as a segment: root may read everything else.
    await mkdir(join(cluster.walDirectory, name));
    await writeFile(join(cluster.walDirectory, "archive_status", `${name}.ready`), "");

    await eventually(async () =>
      expect(await agentStatus(agent)).toMatchObject({ lastFailure: { error: { code: "file-io" } } }),
    );
    const first = (await agentStatus(agent)).lastFailure?.at;
    await eventually(async () => expect((await agentStatus(agent)).lastFailure?.at).not.toBe(first));

    expect(lines).toEqual([
      {
        level: "warn",
        message: "could not archive a WAL file; it is tried again until it is archived",
        segment: name,
        error: expect.stringContaining(join(cluster.walDirectory, name)) as string,
      },
    ]);
  });

  test("does not write into the archive of another system", async () => {
    const store = await temporaryStore();
    await claimRepository(testRepository(store), {
      systemIdentifier: systemIdentifier(9n),
      walSegmentSizeBytes: 1_048_576,
    });
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });

    const outcome = await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name);

    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("belongs to PostgreSQL system 9") as string,
    });
    expect(await acksOf(agent.spoolRoot)).toEqual([]);
  });

  test("shows the backlog while the store is down, and drains it by itself afterwards", async () => {
    const store = switchedStore(await temporaryStore());
    store.isDown = true;
    const cluster = await fakeCluster();
    for (let number = 3; number < 23; number++) await cluster.finish({ name: segmentName(number) });
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });

    expect(await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the store is down") as string,
    });
    const down = await agentStatus(agent);
    expect(down).toMatchObject({
      waitingFiles: 20,
      waitingBytes: 20 * 1_048_576,
      repositories: [{ name: "main", state: "failing", error: { code: "store-unavailable" } }],
    });
    expect(Date.parse(down.oldestWaitingSince ?? "")).toBeLessThanOrEqual(Date.now());
    expect(down.freeBytes).toBeGreaterThan(0);

    store.isDown = false;
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toHaveLength(20));
    expect(await agentStatus(agent)).toMatchObject({ waitingFiles: 0, repositories: [{ state: "ok" }] });
  });
});

describe("a segment written again under its name", () => {
  test("with other content is refused: the old acknowledgement does not cover it", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await cluster.finish({ name, seed: "other" });

    const outcome = await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name);

    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("exists with other content") as string,
    });
    expect(await acksOf(agent.spoolRoot)).toEqual([]);
  });

  test("with the same content is acknowledged again", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    const later = new Date(Date.now() + 3_600_000);
    await utimes(join(cluster.walDirectory, name), later, later);

    expect(await archiveCommand(agent.archiveCommand, cluster.dataDirectory, name)).toEqual({
      code: 0,
      stderr: "",
    });
  });

  test("while no agent ran is compared by the next one", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const options = { dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] };
    const agent = await startAgent(options);
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    await agent.stop();
    await cluster.finish({ name, seed: "other" });

    const next = await startAgent({ ...options, spoolDirectory: agent.spoolDirectory });

    await eventually(async () =>
      expect(await agentStatus(next)).toMatchObject({ refused: [{ code: "wal-conflict" }] }),
    );
    expect(await acksOf(next.spoolRoot)).toEqual([]);
  });
});

describe("several repositories", () => {
  test("all must have a file by default; the others get theirs while one is down", async () => {
    const [good, bad] = [await temporaryStore(), switchedStore(await temporaryStore())];
    bad.isDown = true;
    const cluster = await fakeCluster();
    for (const number of [3, 4, 5]) await cluster.finish({ name: segmentName(number) });
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(good, "good"), targetOf(bad, "bad")],
    });

    await eventually(async () => expect(await stored(good, segmentName(5))).toBeDefined());
    expect(await acksOf(agent.spoolRoot)).toEqual([]);
    bad.isDown = false;
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toHaveLength(3));
  });

  test("one may be enough; what is owed is seen and paid, from another repository when pg_wal has lost it", async () => {
    const [good, bad] = [await temporaryStore(), switchedStore(await temporaryStore())];
    bad.isDown = true;
    const cluster = await fakeCluster();
    const content = await cluster.finish({ name });
    const options = {
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(good, "good"), targetOf(bad, "bad")],
      policy: 1,
    };
    const agent = await startAgent(options);
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    await cluster.done(name);
    await rm(join(cluster.walDirectory, name));
    await agent.stop();
    const next = await startAgent({ ...options, spoolDirectory: agent.spoolDirectory });
    expect((await agentStatus(next)).repositories.map(({ owedFiles }) => owedFiles)).toEqual([0, 1]);

    bad.isDown = false;

    await eventually(async () =>
      expect((await agentStatus(next)).repositories.map(({ owedFiles }) => owedFiles)).toEqual([0, 0]),
    );
    expect((await stored(bad, name))?.equals(content)).toBe(true);
  });

  test("what is owed to one that is left out for a while is kept for it", async () => {
    const [good, bad] = [await temporaryStore(), switchedStore(await temporaryStore())];
    bad.isDown = true;
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const both = {
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(good, "good"), targetOf(bad, "bad")],
      policy: 1,
    };
    const agent = await startAgent(both);
    const owedFiles = async () => readdir(join(agent.spoolRoot, "owed"));
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    await cluster.done(name);
    await agent.stop();
    const alone = await startAgent({
      ...both,
      targets: [targetOf(good, "good")],
      spoolDirectory: agent.spoolDirectory,
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await owedFiles()).toEqual([name]);
    await alone.stop();

    bad.isDown = false;
    await startAgent({ ...both, spoolDirectory: agent.spoolDirectory });

    await eventually(async () => expect(await owedFiles()).toEqual([]));
    expect(await stored(bad, name)).toBeDefined();
  });

  test("a note of what is owed that cannot be read is named, and stops no file that everyone gets", async () => {
    const cluster = await fakeCluster();
    const options = { dataDirectory: cluster.dataDirectory, targets: [targetOf(await temporaryStore())] };
    const agent = await startAgent(options);
    await agent.stop();
    const note = join(agent.spoolRoot, "owed", segmentName(1));
    await writeFile(note, "{");
    await cluster.finish({ name });

    const next = await startAgent({ ...options, spoolDirectory: agent.spoolDirectory });

    await eventually(async () => expect(await acksOf(next.spoolRoot)).toEqual([name]));
    await expect(agentStatus(next)).rejects.toMatchObject({
      code: "file-io",
      message: `could not read "${note}": it does not say what is owed`,
      hint: `The repositories that were down when WAL file "${segmentName(1)}" was archived may be without it: look whether they have it, then remove the note.`,
    });
  });

  test("what is owed and cannot be had any more holds up nothing else that is owed", async () => {
    const [good, bad] = [await temporaryStore(), switchedStore(await temporaryStore())];
    bad.isDown = true;
    const cluster = await fakeCluster();
    const names = [3, 4, 5].map((number) => segmentName(number));
    for (const each of names) await cluster.finish({ name: each });
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(good, "good"), targetOf(bad, "bad")],
      policy: 1,
    });
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual(names));
    for (const each of names) {
      await cluster.done(each);
      await rm(join(cluster.walDirectory, each));
    }
    // The oldest one has expired where it was.
    await good.delete([`pg1/wals/${name.slice(0, 16)}/${name}.zst`]);

    bad.isDown = false;

    await eventually(async () =>
      expect((await agentStatus(agent)).repositories.map(({ owedFiles }) => owedFiles)).toEqual([0, 1]),
    );
    expect(await stored(bad, names[1]!)).toBeDefined();
    expect(await stored(bad, names[2]!)).toBeDefined();
  });
});

describe("an acknowledgement by an agent with other repositories", () => {
  const acknowledged = async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    await cluster.finish({ name });
    const { dataDirectory } = cluster;
    const agent = await startAgent({ dataDirectory, targets: [targetOf(store, "first")] });
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([name]));
    await agent.stop();
    return { store, cluster, dataDirectory, spoolDirectory: agent.spoolDirectory };
  };

  test("does not count for one that was added: it gets the file first", async () => {
    const { store, cluster, ...where } = await acknowledged();
    const added = switchedStore(await temporaryStore());
    added.isDown = true;

    const next = await startAgent({
      ...where,
      targets: [targetOf(store, "first"), targetOf(added, "added")],
    });

    await eventually(async () => expect(await acksOf(next.spoolRoot)).toEqual([]));
    added.isDown = false;
    expect(await archiveCommand(next.archiveCommand, where.dataDirectory, name)).toMatchObject({ code: 0 });
    expect(await stored(added, name)).toBeDefined();
    await cluster.done(name);
  });

  test("is owed to one that was added, where the policy does not wait for it", async () => {
    const { store, cluster, ...where } = await acknowledged();
    const added = switchedStore(await temporaryStore());
    added.isDown = true;
    const targets = [targetOf(store, "first"), targetOf(added, "added")];

    const next = await startAgent({ ...where, targets, policy: 1 });

    await eventually(async () =>
      expect((await agentStatus(next)).repositories.map(({ owedFiles }) => owedFiles)).toEqual([0, 1]),
    );
    await cluster.done(name);
    added.isDown = false;
    await eventually(async () => expect(await stored(added, name)).toBeDefined());
  });

  test("does not count for another place under the old name", async () => {
    const { spoolDirectory, dataDirectory } = await acknowledged();
    const moved = await temporaryStore();

    await startAgent({ spoolDirectory, dataDirectory, targets: [targetOf(moved, "first")] });

    await eventually(async () => expect(await stored(moved, name)).toBeDefined());
  });

  test("holds where nothing changed: the file is not even read again", async () => {
    const { store, cluster, ...where } = await acknowledged();
    const isDown = Object.assign(switchedStore(store), { isDown: true });

    const next = await startAgent({ ...where, targets: [targetOf(isDown, "first")] });
    await eventually(async () => expect(await agentStatus(next)).toMatchObject({ waitingFiles: 0 }));

    expect(await archiveCommand(next.archiveCommand, where.dataDirectory, name)).toMatchObject({ code: 0 });
    expect(await acksOf(next.spoolRoot)).toEqual([name]);
    await cluster.done(name);
  });
});

describe("an agent's life", () => {
  test("a second one for the same spool is refused", async () => {
    const cluster = await fakeCluster();
    const options = { dataDirectory: cluster.dataDirectory, targets: [targetOf(await temporaryStore())] };
    const agent = await startAgent(options);

    await expect(startAgent({ ...options, spoolDirectory: agent.spoolDirectory })).rejects.toMatchObject({
      code: "locked",
    });
  });

  test("it waits for the data directory, and goes on with another system that takes its place", async () => {
    const dataDirectory = join(await temporaryFolder(), "data");
    const served: string[] = [];
    const starting = startAgent({ dataDirectory, targets: [targetOf(await temporaryStore())] });
    setTimeout(() => void fakeCluster(17, dataDirectory), 200);
    const agent = await starting;
    served.push(agent.spoolRoot);

    await rm(dataDirectory, { recursive: true });
    await fakeCluster(15, dataDirectory);

    await eventually(async () => expect(await readdir(agent.spoolDirectory)).toHaveLength(2));
    expect(served).toHaveLength(1);
  });

  test("stopped, it leaves no process number and no socket, and status says what waits", async () => {
    const cluster = await fakeCluster();
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(await temporaryStore())],
    });
    await agent.stop();
    await cluster.finish({ name });

    for (const file of ["agent.pid", "agent.sock"]) {
      await expect(access(join(agent.spoolRoot, file))).rejects.toMatchObject({ code: "ENOENT" });
    }
    await expect(agentStatus(agent)).rejects.toMatchObject({
      code: "agent-unreachable",
      details: { waitingFiles: 1, waitingBytes: 1_048_576 },
    });
    await expect(agentStatus({ spoolDirectory: join(agent.spoolDirectory, "none") })).rejects.toMatchObject({
      code: "agent-unreachable",
    });
  });

  test("through its socket it archives a file on request, and says what is wrong with one", async () => {
    const store = await temporaryStore();
    const cluster = await fakeCluster();
    const agent = await startAgent({ dataDirectory: cluster.dataDirectory, targets: [targetOf(store)] });
    await cluster.finish({ name });

    await askAgent(agent.spoolRoot, { op: "push", name }, 10_000);

    expect(await stored(store, name)).toBeDefined();
    const missing = askAgent(agent.spoolRoot, { op: "push", name: segmentName(99) }, 10_000);
    await expect(missing).rejects.toMatchObject({ code: "file-io" });
    await expect(askAgent(agent.spoolRoot, { op: "push", name: "x" }, 10_000)).rejects.toMatchObject({
      code: "usage",
    });
  });
});
