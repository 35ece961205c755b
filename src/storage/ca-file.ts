import { readFile } from "node:fs/promises";
import { EngineError, fileError } from "../common/errors.ts";

/** The certificates of a PEM file of authorities to trust. Throws `config` when it cannot be read. */
export async function readCertificates(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new EngineError("config", `could not read the CA file "${path}"`, {
      cause: fileError("read", path, error),
    });
  }
}
