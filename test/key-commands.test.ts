import { chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { chooseServerUser } from "../src/postgres/unprivileged-user.ts";
import { lockKeys } from "../src/repository/encryption/lock-keys.ts";
import { segmentName } from "../src/archive/testing/wal-files.ts";
import { createKeys } from "../src/repository/encryption/repository-keys.ts";
import { formatStoredKeys } from "../src/repository/encryption/stored-keys.ts";
import { encryptionKeysKey } from "../src/repository/keys.ts";
import { identityFile, keysIn } from "./support/age-keys.ts";
import { contentOf, emptyRepository, putBackup, putIdentity, putSegments } from "./support/sample-archive.ts";
import { tidemark, tidemarkJson } from "./support/programs.ts";

interface Keys {
  readonly lockedFor: string;
  readonly recipients: readonly string[];
  readonly identities: readonly { readonly publicKey: string }[];
}

async function workplace() {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-keys-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const operator = await identityFile(join(folder, "operator.txt"));
  const colleague = await identityFile(join(folder, "colleague.txt"));
  const where = ["--repo", join(folder, "repository"), "--server", "main"];
  const by = (path: string) => [...where, "--identity-file", path];
  const list = async (path: string) => tidemarkJson<Keys>(["key", "list", ...by(path)]);
  const repositoryDirectory = join(folder, "repository");
  return { folder, operator, colleague, repositoryDirectory, where, by, list };
}

test("keys are made, opened by those they are locked for, and never locked for nobody", async () => {
  const { folder, operator, colleague, by, list } = await workplace();
  const own = by(operator.path);

  expect(await tidemark(["key", "init", ...own])).toMatchObject({ code: 0, stderr: "" });
  expect(await tidemark(["key", "init", ...own])).toMatchObject({ code: 13 });
  expect(await tidemark(["key", "list", ...by(colleague.path)])).toMatchObject({
    code: 62,
    stderr: `tidemark: no identity in "${colleague.path}" opens "${join(folder, "repository/main/x-tidemark/keys/identities")}"
hint: Name the key that the repository was set up with, or was given by tidemark key rotate, in its settings (encryption). If it is that one, the object is damaged: put back what tidemark key export saved, encrypted with age to your recipient.
`,
  });
  await writeFile(join(folder, "more.txt"), `# them\n${colleague.recipient}\n`);
  const added = ["key", "add-recipient", "--recipients-file", join(folder, "more.txt"), ...own];
  expect(await tidemark(added)).toMatchObject({ code: 0 });
  expect(await list(colleague.path)).toMatchObject({
    lockedFor: "recipients",
    recipients: [operator.recipient, colleague.recipient],
  });
  expect(
    await tidemark(["key", "remove-recipient", operator.recipient, ...by(colleague.path)]),
  ).toMatchObject({
    code: 0,
  });
  const last = await tidemark(["key", "remove-recipient", colleague.recipient, ...by(colleague.path)]);
  expect(last).toMatchObject({ code: 2 });
  expect(last.stderr).toContain("would have no recipient left, and nobody could read it any more");
  expect(await tidemark(["key", "list", ...own])).toMatchObject({ code: 62 });
});

test("keys are exported into a new file that only its owner can read, or printed when that is asked for", async () => {
  const { folder, operator, by } = await workplace();
  const own = by(operator.path);
  await tidemark(["key", "init", ...own]);
  const to = join(folder, "exported.txt");

  expect(await tidemark(["key", "export", ...own])).toMatchObject({ code: 2, stdout: "" });
  expect(await tidemark(["key", "export", "--to", to, ...own])).toMatchObject({ code: 0 });
  expect(await tidemark(["key", "export", "--to", to, ...own])).toMatchObject({ code: 13 });
  const printed = await tidemark(["key", "export", "--stdout", ...own]);

  expect((await stat(to)).mode & 0o777).toBe(0o600);
  expect(printed.stdout).toBe(await readFile(to, "utf8"));
  expect(printed.stdout).not.toContain("# recipient");
  expect(printed.stdout).toMatch(/\nAGE-SECRET-KEY-1[0-9A-Z]+\n$/);
});

test("keys that were put back for a new recipient stay his, whatever they say of former ones", async () => {
  const { operator, colleague, repositoryDirectory, by, list } = await workplace();
  const { repository, signal, read } = await keysIn(repositoryDirectory);
  await createKeys(repository, { kind: "recipients", recipients: [operator.recipient] }, { signal });
  const keys = await read({ identityFile: operator.path });
  for (const recipients of [[operator.recipient], []]) {
    const text = formatStoredKeys({ ...keys, recipients });
    const locked = await lockKeys(text, { kind: "recipients", recipients: [colleague.recipient] });
    await repository.store.put(encryptionKeysKey(repository.server), [locked]);

    expect(await tidemark(["key", "rotate", "--new-identity", ...by(colleague.path)])).toMatchObject({
      code: 0,
    });

    expect(await list(colleague.path)).toMatchObject({ recipients: [colleague.recipient] });
    await expect(read({ identityFile: operator.path })).rejects.toMatchObject({ code: "encryption-key" });
  }
});

test.for(["keys:before-write", "keys:after-write"])(
  "a rotation that is killed at %s leaves the old keys or the new ones",
  async (faultPoint) => {
    const { operator, colleague, repositoryDirectory, by } = await workplace();
    const { repository, signal, read } = await keysIn(repositoryDirectory);
    await createKeys(repository, { kind: "recipients", recipients: [operator.recipient] }, { signal });
    const before = await read({ identityFile: operator.path });

    const killed = await tidemark(
      ["key", "rotate", "--new-identity", "--recipient", colleague.recipient, ...by(operator.path)],
      { faultPoint },
    );

    expect(killed.code).not.toBe(0);
    const isDone = faultPoint === "keys:after-write";
    const [opener, other] = isDone ? [colleague, operator] : [operator, colleague];
    const after = await read({ identityFile: opener.path });
    expect(after.keys[0]?.key.recipient).toBe(before.keys[0]?.key.recipient);
    expect(after.keys).toHaveLength(isDone ? 2 : 1);
    await expect(read({ identityFile: other.path })).rejects.toMatchObject({ code: "encryption-key" });
  },
);

test("what is not clear is not done: several repositories, both kinds of key, and a secret in the place of a recipient", async () => {
  const { folder, operator, where, by } = await workplace();
  const two = [...by(operator.path), "--repo", join(folder, "other")];

  const several = await tidemark(["key", "init", ...two]);
  expect(several).toMatchObject({ code: 2 });
  expect(several.stderr).toContain("Name one with --repository: repo1, repo2.");
  expect(await tidemark(["key", "init", "--repository", "repo2", ...two])).toMatchObject({ code: 0 });
  const both = await tidemark(["key", "list", ...by(operator.path), "--passphrase-file", "/x"]);
  expect(both).toMatchObject({ code: 2 });
  const secret = await tidemark(["key", "init", "--recipient", operator.identity, ...where]);
  expect(secret).toMatchObject({ code: 2 });
  expect(secret.stderr + secret.stdout).not.toContain(operator.identity);
  await tidemark(["key", "init", ...by(operator.path)]);
  const removed = await tidemark(["key", "remove-recipient", operator.identity, ...by(operator.path)]);
  expect(removed).toMatchObject({ code: 2 });
  expect(removed.stderr + removed.stdout).not.toContain(operator.identity);
});

test("a copy named by URLs is encrypted with the key that is given, from a plain repository and from an encrypted one", async () => {
  const { folder, operator, by } = await workplace();
  const plain = await emptyRepository(join(folder, "plain"), "plain");
  await putIdentity(plain);
  await putSegments(plain, 1, 4);
  await putBackup(plain, 3);
  const user = await chooseServerUser(undefined);
  if (user !== undefined) {
    const names = await readdir(folder, { recursive: true });
    for (const name of ["", ...names]) await chown(join(folder, name), user.uid, user.gid);
  }
  const copy = async (from: string, to: string) =>
    tidemark(["copy", join(folder, from), join(folder, to), "--yes", ...by(operator.path).slice(2)]);

  expect(await copy("plain", "sealed")).toMatchObject({ code: 0 });
  expect(await copy("sealed", "again")).toMatchObject({ code: 0 });

  for (const name of ["sealed", "again"]) {
    const stored = await emptyRepository(join(folder, name), name);
    const names = Object.keys(await contentOf(stored)).filter((key) => !key.endsWith(".age"));
    expect(names).toEqual(["x-tidemark/keys/identities"]);
  }
  const listed = [
    "base",
    "list",
    "-o",
    "json",
    ...by(operator.path).slice(2),
    "--repo",
    join(folder, "again"),
  ];
  expect((await tidemark(listed)).stdout).toContain("20261103T000000");
  await rm(join(folder, "sealed/main/x-tidemark/keys/identities"));
  const fetch = ["wal", "fetch", segmentName(3), join(folder, "fetched"), "--server", "main"];
  const fetched = await tidemark([...fetch, "--repo", join(folder, "sealed")]);
  expect(fetched).toMatchObject({ code: 150 });
  expect(fetched.stderr).toContain("is encrypted, and no key for it is configured");
});
