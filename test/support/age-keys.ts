import { chmod, chown, writeFile } from "node:fs/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import type { ServerUser } from "../../src/postgres/server-process.ts";

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
