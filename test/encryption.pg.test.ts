import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { replaceKeys, withNewKey } from "../src/repository/encryption/change-keys.ts";
import { identityFile, keysIn, secretFile } from "./support/age-keys.ts";
import { untilDrained } from "./support/archive-audit.ts";
import { restoreAndStart } from "./support/restored.ts";
import { addRow, makeTables, readContents } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";

const passphrase = "correct-horse-battery-staple";

test("an encrypted repository is restored from its oldest backup after ten rotations, and no secret is anywhere but in its file", async () => {
  await using system = await startSystem();
  const { server } = system;
  const { user } = server.folder;
  const operator = await identityFile(system.path("operator.txt"), user);
  const byIdentity = ["--identity-file", operator.path];
  const passphraseFile = await secretFile(system.path("passphrase.txt"), `${passphrase}\n`, user);
  const byPassphrase = ["--passphrase-file", passphraseFile];

  await using first = await system.agent({ args: [...byIdentity, "--log-level", "debug"] });
  await makeTables(server.sql);
  await addRow(server.sql, 1);
  const oldest = await system.json<{ readonly id: string }>([
    "base",
    "create",
    "-D",
    server.dataDirectory,
    "--spool",
    system.spoolDirectory,
    "--max-part-size",
    "8MiB",
    ...byIdentity,
  ]);
  await addRow(server.sql, 2);
  await server.sql("SELECT pg_switch_wal()");
  await untilDrained(server.dataDirectory);
  const identities = await rotate(system, operator.path, 9);
  const rotated = await system.run([
    "key",
    "rotate",
    "--new-identity",
    "--new-passphrase-file",
    passphraseFile,
    ...byIdentity,
  ]);
  expect(rotated).toMatchObject({ code: 0, stderr: "" });
  const shown = await commandLines();
  const { stderr: firstLog } = await first.end("SIGTERM");
  await using second = await system.agent({ args: [...byPassphrase, "--log-level", "debug"] });
  await addRow(server.sql, 3);
  await server.sql("SELECT pg_switch_wal()");
  await untilDrained(server.dataDirectory);
  const atEnd = await readContents(server.sql);

  await using restored = await restoreAndStart(system, [...byPassphrase, "--backup", oldest.id]);
  expect(await restored.contents()).toEqual(atEnd);
  shown.push(...(await commandLines()));

  const wrong = await system.run(["base", "list", ...byIdentity]);
  expect(wrong).toMatchObject({ code: 62, stdout: "" });
  expect(wrong.stderr).toContain(`is locked with a passphrase, and "${operator.path}" is an identity`);
  const without = await system.run(["restore", system.path("never"), "--dry-run"]);
  expect(without).toMatchObject({ code: 62 });
  expect(without.stderr).toContain("is encrypted, and no key for it is configured");

  const { stderr: secondLog } = await second.end("SIGTERM");
  const stored = await filesBelow(join(system.repositoryDirectory, "main"));
  const readable = stored.filter(({ path }) => !path.endsWith(".age")).map(({ path }) => path);
  expect(readable).toEqual([expect.stringContaining("x-tidemark/keys/identities")]);
  for (const { content } of stored) expect(content.toString("latin1")).toMatch(/^age-encryption\.org\/v1\n/);
  const elsewhere = [
    ...stored,
    ...(await filesBelow(system.spoolDirectory)),
    ...(await filesBelow(restored.dataDirectory)),
    { path: "logs", content: Buffer.from(firstLog + secondLog) },
    { path: "answers", content: Buffer.from(rotated.stdout + wrong.stderr + without.stderr) },
    { path: "/proc", content: Buffer.from(shown.join("\n")) },
  ];
  const secrets = [operator.identity, passphrase, ...identities];
  expect(identities).toHaveLength(10);
  expect(shown.join("\n")).toContain("--identity-file");
  const found = elsewhere.flatMap(({ path, content }) =>
    secrets.some((secret) => content.includes(secret)) ? [path] : [],
  );
  expect(found).toEqual([]);
});

/** Begins a new identity so many times; gives all that there are then. */
async function rotate(system: System, path: string, times: number): Promise<readonly string[]> {
  const { repository, signal, read } = await keysIn(system.repositoryDirectory);
  for (let at = 0; at < times; at++) {
    const keys = await read({ identityFile: path });
    const { recipients } = keys;
    await replaceKeys(repository, withNewKey(keys, new Date()), { kind: "recipients", recipients }, signal);
  }
  const { keys } = await read({ identityFile: path });
  return keys.map(({ key }) => key.identity.reveal());
}

/** Of every process, with its environment where that may be read. */
async function commandLines(): Promise<string[]> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const texts = processes.flatMap((name) =>
    ["cmdline", "environ"].map(async (file) => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "")),
  );
  return Promise.all(texts);
}

async function filesBelow(directory: string) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (path) => ({ path, content: await readFile(path) })));
}
