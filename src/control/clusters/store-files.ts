import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDurableFile } from "../../common/durable-file.ts";
import { systemErrorCode } from "../../common/errors.ts";
import type { EncryptionKeyName } from "../../manifest/encryption-secret.ts";
import type { EncryptionSettings, RepositorySettings } from "../../repository/repository-settings.ts";
import type { ResolvedStore } from "./store-resolution.ts";

/**
 * Writes credentials, certificates and keys of a cluster's stores into files of mode 0600, only where they changed, and gives
 * the settings that name them. Whoever opened a store before takes changed credentials up from its file.
 */
export async function writeStoreFiles(
  directory: string,
  stores: readonly ResolvedStore[],
): Promise<readonly RepositorySettings[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const all: RepositorySettings[] = [];
  for (const { name, settings, credentials, certificates, encryption } of stores) {
    const credentialsFile = credentials && join(directory, `${name}.json`);
    const caFile = certificates && join(directory, `${name}.pem`);
    if (credentialsFile !== undefined) {
      const text = typeof credentials === "string" ? credentials : JSON.stringify(credentials);
      await writeIfChanged(credentialsFile, `${text}\n`);
    }
    if (caFile !== undefined) await writeIfChanged(caFile, certificates ?? "");
    const keyFile = encryption && join(directory, `${name}.${encryption.kind}`);
    if (keyFile !== undefined) await writeIfChanged(keyFile, encryption?.value ?? "");
    all.push({
      ...settings,
      ...(credentialsFile === undefined ? {} : { credentialsFile }),
      ...(caFile === undefined ? {} : { caFile }),
      ...(keyFile === undefined ? {} : { encryption: encryptionSettings(encryption?.kind, keyFile) }),
    });
  }
  return all;
}

function encryptionSettings(kind: EncryptionKeyName | undefined, path: string): EncryptionSettings {
  return kind === "passphrase" ? { passphraseFile: path } : { identityFile: path };
}

async function writeIfChanged(path: string, text: string): Promise<void> {
  const present = await readFile(path, "utf8").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (present !== text) await writeDurableFile(path, text, 0o600);
}
