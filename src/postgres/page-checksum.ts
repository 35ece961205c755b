import { assert } from "../common/errors.ts";
import { lsn, type Lsn } from "./lsn.ts";
import { pageChecksumWasm } from "./page-checksum-wasm.ts";

/*
 * Data checksums are verified while a base backup reads the files, so it must cost next to nothing: the work is done in
 * WebAssembly with 128-bit vectors (page-checksum.wat), on bytes that were read straight into its memory.
 */

/** Which pages need no right checksum because their full image is in the WAL that the backup replays. */
export interface ChangedPages {
  /** Where the backup started: a page changed since may be torn, and replay puts it right. */
  readonly startLsn: Lsn;
  /**
   * The server's current WAL position, if known: a page LSN beyond it was never written by this server, so that the
   * page is damaged rather than new. Take it after the pages were read.
   */
  readonly endLsn?: Lsn;
}

/** A page that PostgreSQL would refuse to read. */
export interface BadPage {
  /** Counted from the start of the relation, over all its files. */
  readonly block: number;
  /** Where the bytes of the page start in what was verified. */
  readonly offset: number;
  /** The page's own claim of when it was last changed; garbage perhaps. */
  readonly pageLsn: Lsn;
  /** The checksum computed from the page's bytes. */
  readonly expected: number;
  /** The checksum stored on it. */
  readonly found: number;
  /** The page says it was never used, yet is not empty; its checksum does not matter then. */
  readonly newButNotEmpty: boolean;
}

export interface PageVerifier {
  /** `bufferBytes` long. Read file bytes into it, then call `verify`; it stays the same object. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /**
   * Verifies the whole pages in the first `lengthBytes` of `buffer` (a started page after them is not looked at), the
   * first of which is block `firstBlockNumber` of its relation: the file's segment number times the blocks per file,
   * plus its place in the file. The buffer is not changed. Returns the bad pages in order.
   */
  verify(lengthBytes: number, firstBlockNumber: number, changed?: ChangedPages): BadPage[];
  /** As `verify`, for bytes that lie elsewhere: copies them through `buffer` in turns. */
  verifyBytes(bytes: Uint8Array, firstBlockNumber: number, changed?: ChangedPages): BadPage[];
}

export interface PageVerifierOptions {
  /** A multiple of the block size, up to 1 GiB. */
  readonly bufferBytes: number;
  /** The cluster's page size: a power of two from 1 to 32 KiB; 8 KiB when left out. */
  readonly blockSizeBytes?: number;
}

interface WasmExports {
  checksum(page: number, size: number, block: number): number;
  find_bad(pages: number, size: number, first: number, from: bigint, to: bigint, out: number): number;
}

// Node has WebAssembly, but its types come with the browser's only.
interface WasmNamespace {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: WasmExports };
}
const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly: WasmNamespace };

const wasmPageBytes = 65_536;
const maxLsn = (1n << 64n) - 1n;
let compiled: object | undefined;

/**
 * Makes a verifier of PostgreSQL's page checksums with its own buffer (`bufferBytes`, and 4 bytes for each page of it).
 * It holds no other resource, and is not to be used from two readers at once.
 */
export function createPageVerifier(options: PageVerifierOptions): PageVerifier {
  const { bufferBytes, blockSizeBytes = 8192 } = options;
  assert(
    blockSizeBytes >= 1024 && blockSizeBytes <= 32_768 && Number.isInteger(Math.log2(blockSizeBytes)),
    `${blockSizeBytes} is not a PostgreSQL block size`,
  );
  assert(
    bufferBytes > 0 && bufferBytes % blockSizeBytes === 0 && bufferBytes <= 2 ** 30,
    `a buffer of ${bufferBytes} bytes does not hold whole pages of ${blockSizeBytes}`,
  );

  // The buffer lies at address 0 of the module's memory, the list of bad pages behind it.
  const indexBytes = (bufferBytes / blockSizeBytes) * 4;
  const memory = new wasm.Memory({ initial: Math.ceil((bufferBytes + indexBytes) / wasmPageBytes) });
  compiled ??= new wasm.Module(Buffer.from(pageChecksumWasm, "base64"));
  const { exports } = new wasm.Instance(compiled, { host: { memory } });
  const buffer = new Uint8Array(memory.buffer, 0, bufferBytes);
  const view = new DataView(memory.buffer);

  function describeBadPage(index: number, firstBlockNumber: number): BadPage {
    const offset = index * blockSizeBytes;
    const block = firstBlockNumber + index;
    return {
      block,
      offset,
      pageLsn: lsn((BigInt(view.getUint32(offset, true)) << 32n) | BigInt(view.getUint32(offset + 4, true))),
      expected: exports.checksum(offset, blockSizeBytes, block),
      found: view.getUint16(offset + 8, true),
      newButNotEmpty: view.getUint16(offset + 14, true) === 0,
    };
  }

  function verify(lengthBytes: number, firstBlockNumber: number, changed?: ChangedPages): BadPage[] {
    assert(lengthBytes >= 0 && lengthBytes <= bufferBytes, `the buffer does not hold ${lengthBytes} bytes`);
    const pages = Math.floor(lengthBytes / blockSizeBytes);
    // Without `changed` the exempt range is empty: from the highest position to the lowest.
    const from = changed?.startLsn ?? maxLsn;
    const to = changed === undefined ? 0n : (changed.endLsn ?? maxLsn);
    const count = exports.find_bad(pages, blockSizeBytes, firstBlockNumber, from, to, bufferBytes);
    return Array.from({ length: count }, (_, nth) =>
      describeBadPage(view.getUint32(bufferBytes + 4 * nth, true), firstBlockNumber),
    );
  }

  function verifyBytes(bytes: Uint8Array, firstBlockNumber: number, changed?: ChangedPages): BadPage[] {
    const bad: BadPage[] = [];
    for (let at = 0; at < bytes.length; at += bufferBytes) {
      const piece = bytes.subarray(at, at + bufferBytes);
      buffer.set(piece);
      for (const page of verify(piece.length, firstBlockNumber + at / blockSizeBytes, changed)) {
        bad.push({ ...page, offset: page.offset + at });
      }
    }
    return bad;
  }

  return { buffer, verify, verifyBytes };
}
