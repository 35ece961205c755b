import { createHmac, createSecretKey, randomBytes, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { makeDurableDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../../common/errors.ts";

/** AES-256. */
const keyBytes = 32;

/**
 * The key of a file that holds 32 bytes in base 64, or undefined when there is none. Throws `config` for a file that others
 * may read, and for one that holds something else; `file-io`.
 */
export async function readKeyFile(path: string): Promise<KeyObject | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new EngineError("config", `the key file "${path}" can be read by other users`, {
        hint: `Close it to them: chmod 600 '${path}'. If somebody may have read it, change the Secrets as well.`,
      });
    }
    text = (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== keyBytes || bytes.toString("base64") !== text) {
    throw new EngineError(
      "config",
      `the key file "${path}" does not hold a key of ${keyBytes} bytes in base 64`,
      {
        hint: "It is damaged, or another file: put the right one back from a copy.",
      },
    );
  }
  return createSecretKey(bytes);
}

/** Makes a new key and its file, for its owner alone, durably before anything is encrypted with it. */
export async function makeKeyFile(path: string): Promise<KeyObject> {
  const bytes = randomBytes(keyBytes);
  await makeDurableDirectory(dirname(path)).catch((error: unknown) => {
    throw fileError("make", dirname(path), error);
  });
  await writeDurableFile(path, `${bytes.toString("base64")}\n`, 0o600);
  return createSecretKey(bytes);
}

/** Tells keys apart without saying anything of them. */
export function fingerprintOf(key: KeyObject): string {
  return createHmac("sha256", key).update("fingerprint of a key for resources").digest("hex").slice(0, 16);
}
