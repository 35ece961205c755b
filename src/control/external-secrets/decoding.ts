import { EngineError } from "../../common/errors.ts";

export type DecodingStrategy = "Auto" | "Base64" | "Base64URL" | "None";

/**
 * A value as its `decodingStrategy` has it. `Auto` decodes what is base 64, in either alphabet, and leaves the rest. Throws
 * `secret-unavailable` for what is not of the form that it is said to have; the value is in no message.
 */
export function decodeValue(value: Uint8Array, strategy: DecodingStrategy = "None"): Uint8Array {
  if (strategy === "None") return value;
  const text = Buffer.from(value).toString("latin1");
  if (strategy !== "Base64URL") {
    const decoded = decodeBase64(text, /^[A-Za-z0-9+/]*={0,2}$/);
    if (decoded !== undefined) return decoded;
  }
  if (strategy !== "Base64") {
    const decoded = decodeBase64(text, /^[A-Za-z0-9_-]*={0,2}$/);
    if (decoded !== undefined) return decoded;
  }
  if (strategy === "Auto") return value;
  throw new EngineError("secret-unavailable", `it is not ${strategy}, as its decodingStrategy says`);
}

/** With padding, and line breaks skipped, as Go's decoders do. Node reads both alphabets. */
function decodeBase64(text: string, alphabet: RegExp): Buffer | undefined {
  const plain = text.replaceAll(/[\r\n]/g, "");
  return plain.length % 4 === 0 && alphabet.test(plain) ? Buffer.from(plain, "base64") : undefined;
}
