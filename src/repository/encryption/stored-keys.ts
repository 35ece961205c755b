import { corruptData } from "../../codec/corrupt.ts";
import { keyRing, type KeyRing } from "./key-ring.ts";
import { parseRepositoryKey, type RepositoryKey } from "./repository-key.ts";

/**
 * What the object with a repository's keys says once it is open: an age identity file, so that `age -i` takes it as it is.
 * Comments say to whom it is encrypted, which an age file itself does not tell, and since when each identity is used.
 */
export interface StoredKeys {
  /** To whom it is encrypted: `age1…`; empty where it is locked with a passphrase. */
  readonly recipients: readonly string[];
  /** Oldest first; new objects are encrypted to the last one. At least one. */
  readonly keys: readonly DatedKey[];
}

export interface DatedKey {
  readonly key: RepositoryKey;
  readonly createdAt: Date | undefined;
}

const title = "# Tidemark: the identities of a repository. New objects are encrypted to the last one.";

export function ringOf({ keys }: StoredKeys): KeyRing {
  return keyRing(keys.map(({ key }) => key));
}

export function formatStoredKeys({ recipients, keys }: StoredKeys): string {
  const lines = [title, ...recipients.map((recipient) => `# recipient: ${recipient}`)];
  for (const { key, createdAt } of keys) {
    if (createdAt !== undefined) lines.push(`# created: ${createdAt.toISOString()}`);
    lines.push(`# public key: ${key.recipient}`, key.identity.reveal());
  }
  return `${lines.join("\n")}\n`;
}

/** Throws `object-corrupt` for anything else; other comments are passed over. */
export function parseStoredKeys(text: string): StoredKeys {
  const recipients: string[] = [];
  const keys: DatedKey[] = [];
  let createdAt: Date | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const [, name, value = ""] = /^# (recipient|created): (.*)$/.exec(line) ?? [];
    if (name === "recipient") recipients.push(value);
    else if (name === "created") createdAt = parseTime(value);
    if (line.trim() === "" || line.startsWith("#")) continue;
    const key = parseRepositoryKey(line.trim());
    if (key === undefined) throw corruptData("key", `line ${index + 1} is not an identity`);
    keys.push({ key, createdAt });
    createdAt = undefined;
  }
  if (keys.length === 0) throw corruptData("key", "it holds no identity");
  return { recipients, keys };
}

function parseTime(text: string): Date | undefined {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
