import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { leftOut, reasonToSkip } from "../../test/support/peer-programs.ts";
import { ackTime, sinceTime } from "./ack.ts";
import { readBootId, readyFolderOf } from "./ready-folder.ts";
import { archiveScript, restoreScript } from "./archive-script.ts";
import { writeSpoolFile } from "./spool.ts";
import {
  archiveCommandLine,
  quoteForCommandSetting,
  quoteForShell,
  restoreCommandLine,
} from "./shell-text.ts";

const run = promisify(execFile);

/** Each with why it is left out, if it is. */
const shells = await Promise.all(
  [["dash"], ["bash"], ["busybox", "sh"], ["sh"]].map(async ([program = "", ...rest]) => {
    const reason = await reasonToSkip([program]);
    return { shell: [program, ...rest], reason, title: [program, ...rest].join(" ") + leftOut(reason) };
  }),
);

const name = "000000010000000000000003";
let folder: string;
let spool: string;
let walPath: string;
let living: ReturnType<typeof spawn>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'it\'s a "spool" of 100% $HOME `x` '));
  spool = join(folder, "7 '7");
  for (const part of ["ack", "since", "refused", "want", "ready", "absent", "failed"]) {
    await mkdir(join(spool, part), { recursive: true });
  }
  await mkdir(readyFolderOf(spool, await readBootId()));
  walPath = join(folder, name);
  await writeFile(walPath, "wal");
  living = spawn("sleep", ["60"], { stdio: "ignore" });
  const fallback = join(folder, "fall back");
  await writeFile(fallback, `#!/bin/sh\nprintf '%s\\n' fallback "$@"\n`);
  await chmod(fallback, 0o755);
  const options = { root: spool, fallbackCommand: [fallback, "wal push", "it's"] };
  await writeFile(join(spool, "archive.sh"), archiveScript(options));
  await writeFile(join(spool, "restore.sh"), restoreScript(options));
});
afterEach(async () => {
  living.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const agentLives = async () => writeFile(join(spool, "agent.pid"), `${living.pid}\n`);
const acknowledge = async (mtimeNs: bigint) => {
  await writeSpoolFile(join(spool, "since", name), "", { owner: undefined, mtime: sinceTime(mtimeNs) });
  await writeSpoolFile(join(spool, "ack", name), "{}", { owner: undefined, mtime: ackTime(mtimeNs) });
};
const mtimeNs = (at: Date) => BigInt(at.getTime()) * 1_000_000n;

/** Replaces what PostgreSQL replaces (replace_percent_placeholders in percentrepl.c). */
const asPostgres = (command: string) =>
  command.replaceAll(/%[%pf]/g, (mark) => ({ "%%": "%", "%p": walPath, "%f": name })[mark] ?? mark);

async function shellRun(shell: readonly (string | undefined)[], args: readonly string[]) {
  const [program = "", ...rest] = shell.filter((word) => word !== undefined);
  try {
    const { stdout, stderr } = await run(program, [...rest, ...args], { cwd: folder });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
  }
}

describe.each(shells)("archive_command under $title", ({ shell, reason }) => {
  beforeEach(({ skip }) => skip(reason !== undefined, reason));

  const command = () => asPostgres(archiveCommandLine(spool)).replaceAll(walPath, `./${name}`);
  const go = async () => shellRun(shell, ["-c", command()]);

  test("succeeds at once for what is acknowledged, whatever the fraction of the second", async () => {
    await agentLives();
    for (const time of ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.999Z"]) {
      const at = new Date(time);
      await utimes(walPath, at, at);
      await acknowledge(mtimeNs(at));

      expect(await go()).toEqual({ code: 0, stdout: "", stderr: "" });
    }
  });

  test.each([
    ["an earlier", "2026-01-01T00:00:01.000Z"],
    ["a later", "2025-12-31T23:59:59.990Z"],
    ["a much later", "2020-01-01T00:00:00.000Z"],
  ])("does not take an acknowledgement of %s writing of the file", async (_, time) => {
    await acknowledge(mtimeNs(new Date("2026-01-01T00:00:00.500Z")));
    await utimes(walPath, new Date(time), new Date(time));

    expect(await go()).toMatchObject({ code: 0, stdout: `fallback\nwal push\nit's\n./${name}\n` });
  });

  test("does not take an acknowledgement one of whose two marks is gone", async () => {
    for (const lost of ["ack", "since"]) {
      const at = new Date("2026-01-01T00:00:00.500Z");
      await utimes(walPath, at, at);
      await acknowledge(mtimeNs(at));
      await rm(join(spool, lost, name));

      expect(await go()).toMatchObject({ code: 0, stdout: `fallback\nwal push\nit's\n./${name}\n` });
    }
  });

  test("waits for the agent, and succeeds when it has acknowledged", async () => {
    await agentLives();
    const at = new Date();
    await utimes(walPath, at, at);
    const waiting = go();
    await waitFor(join(spool, "want", name));
    await acknowledge(mtimeNs(at));

    expect(await waiting).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("fails with the agent's reason when it refuses, and does not take an old refusal", async () => {
    await agentLives();
    await writeFile(join(spool, "refused", name), "old");
    const waiting = go();
    await waitFor(join(spool, "want", name));
    await writeSpoolFile(join(spool, "refused", name), "the reason\n", { owner: undefined });

    expect(await waiting).toEqual({ code: 1, stdout: "", stderr: "the reason\n" });
  });

  test("does it without the agent when the agent is dead, while waiting too", async () => {
    await agentLives();
    const waiting = go();
    await waitFor(join(spool, "want", name));
    living.kill("SIGKILL");

    expect(await waiting).toMatchObject({ code: 0, stdout: `fallback\nwal push\nit's\n./${name}\n` });
  });

  test("is not fooled by a process that got the agent's number", async () => {
    await agentLives();
    const longAgo = new Date("2026-01-01T00:00:00Z");
    await utimes(join(spool, "agent.pid"), longAgo, longAgo);

    expect(await go()).toMatchObject({ code: 0, stdout: `fallback\nwal push\nit's\n./${name}\n` });
  });
});

describe.each(shells)("restore_command under $title", ({ shell, reason }) => {
  beforeEach(({ skip }) => skip(reason !== undefined, reason));

  const command = () => asPostgres(restoreCommandLine(spool)).replaceAll(`"${walPath}"`, "RECOVERYXLOG");
  const go = async () => shellRun(shell, ["-c", command()]);

  const ready = async () => readyFolderOf(spool, await readBootId());

  test("renames what lies ready", async () => {
    await writeFile(join(await ready(), name), "content");

    expect(await go()).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await readFile(join(folder, "RECOVERYXLOG"), "utf8")).toBe("content");
  });

  test("takes nothing that was fetched before the machine was started: a power cut may have cut it", async () => {
    for (const left of [join(spool, "ready"), join(spool, "ready", "another-boot")]) {
      await mkdir(left, { recursive: true });
      await writeFile(join(left, name), "cut");
    }

    expect(await go()).toMatchObject({ stdout: `fallback\nwal push\nit's\n${name}\nRECOVERYXLOG\n` });
    await expect(readFile(join(folder, "RECOVERYXLOG"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("waits for the file", async () => {
    await agentLives();
    const waiting = go();
    await waitFor(join(spool, "want", name));
    await writeSpoolFile(join(await ready(), name), "content", { owner: undefined });

    expect(await waiting).toMatchObject({ code: 0 });
    expect(await readFile(join(folder, "RECOVERYXLOG"), "utf8")).toBe("content");
  });

  test("says 1 for absent, but not because it was absent before", async () => {
    await agentLives();
    await writeFile(join(spool, "absent", name), "");
    const waiting = go();
    await waitFor(join(spool, "want", name));
    await writeFile(join(spool, "absent", name), "");

    expect(await waiting).toEqual({ code: 1, stdout: "", stderr: "" });
  });

  test("says 150 when nobody could tell", async () => {
    await agentLives();
    const waiting = go();
    await waitFor(join(spool, "want", name));
    await writeSpoolFile(join(spool, "failed", name), "no answer\n", { owner: undefined });

    expect(await waiting).toEqual({ code: 150, stdout: "", stderr: "no answer\n" });
  });

  test("fetches without the prefetcher when that is dead, and stops recovery when nothing is left at all", async () => {
    expect(await go()).toMatchObject({
      code: 0,
      stdout: `fallback\nwal push\nit's\n${name}\nRECOVERYXLOG\n`,
    });

    await rm(spool, { recursive: true });
    expect(await go()).toMatchObject({ code: 150 });
  });

  test.each([
    ["exit 1", 150],
    ["exit 9", 150],
    ["exit 81", 1],
    ["exit 150", 150],
    ["kill -9 $$", 150],
    ['exec "$NODE" /nowhere/main.ts', 150],
    ['NODE_OPTIONS=--no-such-flag exec "$NODE" -e ""', 150],
    ['test "$TIDEMARK_ABSENT_STATUS" = 81', 0],
  ])("a program that ends with %j instead gives %i: only ours can say absent", async (end, code) => {
    const program = join(folder, "program");
    await writeFile(program, `#!/bin/sh\nNODE=${quoteForShell(process.execPath)}\n${end}\n`);
    await chmod(program, 0o755);
    await writeFile(
      join(spool, "restore.sh"),
      restoreScript({ root: spool, fallbackCommand: [program, "wal", "fetch"] }),
    );

    expect(await go()).toMatchObject({ code });
  });
});

test("shell text stays one word whatever is in it", async () => {
  for (const text of ["plain/path", "", "it's", 'a "b" $c `d` \\e %f * ~ ! ; & |', "%p"]) {
    const { stdout } = await shellRun(["/bin/sh"], ["-c", `printf '<%s>' ${quoteForShell(text)}`]);
    expect(stdout).toBe(`<${text}>`);
    expect(quoteForCommandSetting(text).replaceAll("%%", "")).not.toContain("%");
  }
  expect(() => quoteForShell("a\nb")).toThrow(/cannot stand in a command line/);
});

async function waitFor(path: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (
      await readFile(path).then(
        () => true,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`"${path}" did not appear`);
}
