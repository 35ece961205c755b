import { readFile } from "node:fs/promises";
import { EngineError, fileError } from "../common/errors.ts";

/** The certificates of a PEM file of authorities to trust. Throws `config` when it cannot be read, or holds none. */
export async function readCertificates(path: string): Promise<Buffer> {
  const content = await read(path);
  // Anything else OpenSSL passes over without a word, and then trusts nobody.
  if (/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(content.toString("latin1"))) return content;
  throw new EngineError("config", `the CA file "${path}" holds no certificate`, {
    hint: "Give the authority's certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----.",
  });
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new EngineError("config", `could not read the CA file "${path}"`, {
      cause: fileError("read", path, error),
      hint: "It must be there, and readable for the user who runs this.",
    });
  }
}
