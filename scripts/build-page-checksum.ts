import { readFile, writeFile } from "node:fs/promises";
import wabt from "wabt";

/*
 * Assembles src/postgres/page-checksum.wat into src/postgres/page-checksum-wasm.ts, which is committed, so that neither
 * a build nor an installation needs the assembler. Run it after every change of the .wat file:
 *
 *   node scripts/build-page-checksum.ts
 */

const source = new URL("../src/postgres/page-checksum.wat", import.meta.url);
const target = new URL("../src/postgres/page-checksum-wasm.ts", import.meta.url);

/** The WebAssembly module as bytes. */
export async function assemblePageChecksum(): Promise<Uint8Array> {
  const assembler = await wabt();
  const module = assembler.parseWat("page-checksum.wat", await readFile(source, "utf8"), { simd: true });
  module.validate();
  return module.toBinary({}).buffer;
}

if (import.meta.main) {
  const lines = Buffer.from(await assemblePageChecksum())
    .toString("base64")
    .match(/.{1,96}/g);
  const literal = (lines ?? []).map((line) => `  "${line}"`).join(" +\n");
  await writeFile(
    target,
    "/** page-checksum.wat, assembled by scripts/build-page-checksum.ts: a WebAssembly module in base64. */\n" +
      `export const pageChecksumWasm =\n${literal};\n`,
  );
}
