import { EngineError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";
import { readPrivateFile } from "../../common/private-file.ts";
import type { EncryptionSettings } from "../repository-settings.ts";

/** What the operator keeps, and what opens the object with a repository's keys. */
export type OperatorKey =
  | { readonly kind: "identities"; readonly identities: readonly Secret[]; readonly path: string }
  | { readonly kind: "passphrase"; readonly passphrase: Secret; readonly path: string };

/** Reads what the settings name. @throws EngineError `config` for a file that cannot be read, is open to others, or holds no key. */
export async function readOperatorKey(settings: EncryptionSettings): Promise<OperatorKey> {
  if ("passphraseFile" in settings) {
    const path = settings.passphraseFile;
    return { kind: "passphrase", passphrase: await readPassphrase(path), path };
  }
  const path = settings.identityFile;
  return {
    kind: "identities",
    identities: parseIdentities(await readPrivateFile(path, "identity"), path),
    path,
  };
}

/** The passphrase in a file: all of it but the end of its last line. */
export async function readPassphrase(path: string): Promise<Secret> {
  const text = (await readPrivateFile(path, "passphrase")).replace(/\r?\n$/, "");
  if (text !== "" && !text.includes("\n")) return new Secret(text);
  throw new EngineError("config", `the passphrase file "${path}" does not hold one line with a passphrase`, {
    hint: "Write the passphrase into it, and nothing else.",
  });
}

/** The identities of an age identity file. What is wrong with a line is not shown: it may be a secret. */
function parseIdentities(text: string, path: string): readonly Secret[] {
  if (text.startsWith("age-encryption.org/") || text.startsWith("-----BEGIN AGE")) {
    throw new EngineError("config", `the identity file "${path}" is itself encrypted`, {
      hint: "Decrypt it with age -d into a file of mode 0600.",
    });
  }
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const kept = lines.filter(({ line }) => line !== "" && !line.startsWith("#"));
  const wrong = kept.find(({ line }) => !/^AGE-SECRET-KEY-(PQ-)?1[A-Z0-9]+$/.test(line));
  if (wrong === undefined && kept.length > 0) return kept.map(({ line }) => new Secret(line));
  const problem = wrong === undefined ? "holds no identity" : `holds something else in line ${wrong.number}`;
  throw new EngineError("config", `the identity file "${path}" ${problem}`, {
    hint: "It is what age-keygen writes: comments, and lines that begin with AGE-SECRET-KEY-1.",
  });
}
