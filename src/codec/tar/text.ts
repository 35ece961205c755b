import { corruptData } from "../corrupt.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Text of a header as UTF-8. Bytes that are not UTF-8 throw `object-corrupt`: replacing them would give a file another
 * name than it had, and perhaps two files one name.
 */
export function decodeText(bytes: Uint8Array, what: string, offset: number): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw corruptData("tar", `the ${what} of the member at offset ${offset} is not UTF-8`, cause);
  }
}
