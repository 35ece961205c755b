import { chmod, chown, writeFile } from "node:fs/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { silentLog } from "../../src/common/log.ts";
import type { ServerUser } from "../../src/postgres/server-process.ts";
import { requireKeys } from "../../src/repository/encryption/change-keys.ts";
import { readOperatorKey } from "../../src/repository/encryption/operator-key.ts";
import { openBareRepositories } from "../../src/repository/open-repositories.ts";
import type { EncryptionSettings } from "../../src/repository/repository-settings.ts";
import { parseServerName } from "../../src/repository/server-name.ts";

/** A secret in a file of mode 0600, which belongs to `user` if one is given. */
export async function secretFile(path: string, text: string, user?: ServerUser): Promise<string> {
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600);
  if (user !== undefined) await chown(path, user.uid, user.gid);
  return path;
}

/** An operator's identity, as `age-keygen` writes it. */
export async function identityFile(path: string, user?: ServerUser) {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  await secretFile(path, `# public key: ${recipient}\n${identity}\n`, user);
  return { path, identity, recipient };
}

/** The keys of the repository of server `main` in a directory, to be looked at and changed. */
export async function keysIn(url: string) {
  const { signal } = new AbortController();
  const [repository] = await openBareRepositories({
    settings: [{ url }],
    server: parseServerName("main"),
    log: silentLog,
    access: { kind: "write", spoolDirectory: undefined },
    signal,
  });
  if (repository === undefined) throw new Error("no repository was opened");
  return {
    repository,
    signal,
    read: async (settings: EncryptionSettings) =>
      requireKeys(repository, await readOperatorKey(settings), signal),
  };
}
