import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Secret } from "../../common/log.ts";
import { lockKeys, lockOf, unlockKeys } from "./lock-keys.ts";
import { readOperatorKey, type OperatorKey } from "./operator-key.ts";
import { generateRepositoryKey, parseRepositoryKey } from "./repository-key.ts";
import { formatStoredKeys, parseStoredKeys } from "./stored-keys.ts";

const passphrase = new Secret("one two three four");
const text = formatStoredKeys({
  recipients: ["age1x"],
  keys: [{ key: generateRepositoryKey(), createdAt: new Date("2026-01-02T03:04:05Z") }],
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark-lock-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

describe("a repository's key", () => {
  test("is written as age writes it, and read from what age wrote", async () => {
    for (let round = 0; round < 20; round++) {
      const own = generateRepositoryKey();
      const identity = await generateX25519Identity();

      expect(await identityToRecipient(own.identity.reveal())).toBe(own.recipient);
      expect(parseRepositoryKey(identity)?.identity.reveal()).toBe(identity);
      expect(parseRepositoryKey(identity)?.recipient).toBe(await identityToRecipient(identity));
    }
  });

  test("with a letter that is wrong is none", async () => {
    const identity = generateRepositoryKey().identity.reveal();

    for (let at = 0; at < identity.length; at++) {
      const letter = identity[at] === "Q" ? "P" : "Q";
      expect(parseRepositoryKey(identity.slice(0, at) + letter + identity.slice(at + 1))).toBeUndefined();
    }
    expect(parseRepositoryKey(identity.toLowerCase())?.recipient).toBeDefined();
    expect(parseRepositoryKey(identity.slice(0, 20) + identity.slice(20).toLowerCase())).toBeUndefined();
  });
});

test("keys are read as they were written, and anything else is damage that is not shown", () => {
  const { recipients, keys } = parseStoredKeys(text);

  expect(recipients).toEqual(["age1x"]);
  expect(keys.map(({ createdAt }) => createdAt?.toISOString())).toEqual(["2026-01-02T03:04:05.000Z"]);
  expect(formatStoredKeys({ recipients, keys })).toBe(text);
  for (const wrong of [
    "",
    "# nothing\n",
    text.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-2"),
    `${text}SECRET\n`,
  ]) {
    expect(() => parseStoredKeys(wrong)).toThrow(
      expect.objectContaining({ code: "object-corrupt", message: expect.not.stringContaining("SECRET") }),
    );
  }
});

describe("locked keys", () => {
  let first: OperatorKey & { readonly kind: "identities" };
  let second: OperatorKey & { readonly kind: "identities" };
  const withPassphrase: OperatorKey = { kind: "passphrase", passphrase, path: "/p" };
  beforeAll(async () => {
    const key = async (path: string) => ({
      kind: "identities" as const,
      identities: [new Secret(await generateX25519Identity())],
      path,
    });
    first = await key("/first");
    second = await key("/second");
  });

  test("open for each recipient, and for the age program", async () => {
    const locks = await Promise.all([first, second].map(async (key) => lockOf(key)));
    const recipients = locks.flatMap((lock) => (lock.kind === "recipients" ? lock.recipients : []));

    const locked = await lockKeys(text, { kind: "recipients", recipients });

    expect(await unlockKeys(locked, first, "it")).toBe(text);
    expect(await unlockKeys(locked, second, "it")).toBe(text);
    const directory = await folder();
    await writeFile(join(directory, "id"), `${second.identities[0]?.reveal()}\n`, { mode: 0o600 });
    await writeFile(join(directory, "locked"), locked);
    const run = promisify(execFile);
    const { stdout } = await run("age", ["-d", "-i", join(directory, "id"), join(directory, "locked")]);
    expect(stdout).toBe(text);
  });

  test("open with a passphrase that age's package locked them with, and the other way round", async () => {
    const locked = await lockKeys(text, { kind: "passphrase", passphrase });
    const encrypter = new Encrypter();
    encrypter.setPassphrase(passphrase.reveal());
    encrypter.setScryptWorkFactor(8);
    const decrypter = new Decrypter();
    decrypter.addPassphrase(passphrase.reveal());

    expect(await decrypter.decrypt(locked, "text")).toBe(text);
    expect(await unlockKeys(locked, withPassphrase, "it")).toBe(text);
    expect(await unlockKeys(await encrypter.encrypt(text), withPassphrase, "it")).toBe(text);
  });

  test("say which key is wrong", async () => {
    const forFirst = await lockKeys(text, await lockOf(first));
    const byPassphrase = await lockKeys(text, await lockOf(withPassphrase));
    const wrong: OperatorKey = { kind: "passphrase", passphrase: new Secret("x"), path: "/wrong" };

    for (const [locked, key, message] of [
      [forFirst, second, 'no identity in "/second" opens it'],
      [forFirst, withPassphrase, 'it is locked for identities, and "/p" is a passphrase'],
      [byPassphrase, first, 'it is locked with a passphrase, and "/first" is an identity'],
      [byPassphrase, wrong, 'the passphrase in "/wrong" is not the one that opens it'],
    ] as const) {
      await expect(unlockKeys(locked, key, "it")).rejects.toMatchObject({ code: "encryption-key", message });
    }
  });

  test("that were damaged are damage, wherever it is", async () => {
    const locked = await lockKeys(text, await lockOf(first));

    for (const place of [0, 5, locked.length - 1, locked.length - 200]) {
      const damaged = Buffer.from(locked);
      damaged[place] = (damaged[place] ?? 0) ^ 1;
      await expect(unlockKeys(damaged, first, "it")).rejects.toMatchObject({ code: "object-corrupt" });
    }
    await expect(unlockKeys(locked.subarray(0, 50), first, "it")).rejects.toMatchObject({
      code: "object-corrupt",
    });
  });

  test("are not locked for what is no recipient", async () => {
    for (const recipient of ["age1nonsense", "ssh-ed25519 AAAA", ""]) {
      await expect(lockKeys(text, { kind: "recipients", recipients: [recipient] })).rejects.toMatchObject({
        code: "usage",
        message: `"${recipient}" is not a recipient that can be encrypted to`,
      });
    }
  });
});

describe("the operator's key", () => {
  test("is read from a file that only its owner can read", async () => {
    const directory = await folder();
    const identity = await generateX25519Identity();
    const identityFile = join(directory, "identity");
    await writeFile(identityFile, `# created: today\n${identity}\n\n`, { mode: 0o600 });
    const passphraseFile = join(directory, "passphrase");
    await writeFile(passphraseFile, " with spaces \n", { mode: 0o600 });

    const identities = await readOperatorKey({ identityFile });
    const sentence = await readOperatorKey({ passphraseFile });
    await chmod(identityFile, 0o640);

    expect(identities.kind === "identities" && identities.identities.map((one) => one.reveal())).toEqual([
      identity,
    ]);
    expect(sentence.kind === "passphrase" && sentence.passphrase.reveal()).toBe(" with spaces ");
    await expect(readOperatorKey({ identityFile })).rejects.toMatchObject({
      code: "config",
      message: `the identity file "${identityFile}" has mode 640: others than its owner can read it`,
    });
  });

  test.for([
    ["", 'the identity file "%s" holds no identity'],
    ["geheim\n", 'the identity file "%s" holds something else in line 1'],
    ["age-encryption.org/v1\n…", 'the identity file "%s" is itself encrypted'],
  ])("is not %j, and what is in the file is not shown", async ([content = "", message = ""]) => {
    const path = join(await folder(), "identity");
    await writeFile(path, content, { mode: 0o600 });

    await expect(readOperatorKey({ identityFile: path })).rejects.toMatchObject({
      code: "config",
      message: message.replace("%s", path),
    });
    await expect(readOperatorKey({ passphraseFile: join(path, "missing") })).rejects.toMatchObject({
      code: "config",
    });
  });
});
