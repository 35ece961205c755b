import { releaseChunk } from "../../common/release-chunk.ts";
import { corruptData, truncatedData } from "../corrupt.ts";
import { ByteSource } from "../byte-source.ts";
import type { TarMember } from "./entry.ts";
import { blockBytes, paddingBytes } from "./layout.ts";
import { parsePaxRecords, type PaxRecords } from "./pax.ts";
import { parseRawHeader, type RawHeader, toMember } from "./parse-header.ts";
import { decodeText } from "./text.ts";

export interface TarReadOptions {
  /**
   * `optional` takes an archive that stops after a whole member as complete, as other readers do. Where nothing below
   * notices a cut (no compression), `required` does.
   */
  readonly endMarker?: "optional" | "required";
}

/** A member as it goes by. */
export interface TarReadMember {
  readonly member: TarMember;
  /** Where its (first) header starts in the archive, in bytes. */
  readonly offset: number;
  /**
   * The bytes of a file, in views of the source's chunks, to be read before the next member is asked for; what is left
   * then is passed over. Whoever reads a view may give its memory back (`releaseChunk`) when done with it. Empty for everything else. Ends early only by throwing.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Names and extended headers are small; anything larger is damage, and must not fill the memory. */
const extensionLimitBytes = 1024 * 1024;

/**
 * Reads a tar archive (v7, ustar, pax, GNU) from its bytes, which may be cut anywhere. Throws `object-corrupt`, with the
 * offset, for what is no archive, is cut within a member, or goes on with anything but zeros behind its end marker.
 * The source's chunks are the reader's from then on: what was read may be empty afterwards.
 * The source is read to its end (so a decoder before it checks its own trailer), or closed when the loop is left.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: TarReadOptions = {},
): AsyncGenerator<TarReadMember, void, undefined> {
  const bytes = new ByteSource(source, "tar", { owned: true });
  try {
    let globals: PaxRecords = {};
    for (;;) {
      const offset = bytes.position;
      const header = await readHeader(bytes, globals, options);
      if (header === undefined) return;
      globals = header.globals;
      const { member, bodyBytes } = toMember(header.raw, { ...globals, ...header.records }, offset);
      const body = new TarBody(bytes, bodyBytes);
      yield { member, offset, body };
      await body.finish();
      await bytes.skip(paddingBytes(bodyBytes));
    }
  } finally {
    await bytes.close();
  }
}

class TarBody implements AsyncIterable<Uint8Array> {
  readonly #bytes: ByteSource;
  #left: number;

  constructor(bytes: ByteSource, length: number) {
    this.#bytes = bytes;
    this.#left = length;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#left > 0) {
      const view = this.#bytes.takeAvailable(this.#left);
      if (view === undefined) {
        if (!(await this.#bytes.fill())) throw truncatedData("tar");
        continue;
      }
      this.#left -= view.length;
      yield view;
    }
  }

  /** Passes over what was not read; an iterator kept beyond this gives nothing more. */
  async finish(): Promise<void> {
    const left = this.#left;
    this.#left = 0;
    await this.#bytes.skip(left);
  }
}

interface Header {
  readonly raw: RawHeader;
  readonly records: PaxRecords;
  readonly globals: PaxRecords;
}

/** The next header that stands for a member, with the extended headers before it; undefined at the archive's end. */
async function readHeader(
  bytes: ByteSource,
  globalsBefore: PaxRecords,
  options: TarReadOptions,
): Promise<Header | undefined> {
  let globals = globalsBefore;
  let pax: PaxRecords = {};
  let long: PaxRecords = {};
  for (let extensions = 0; ; extensions++) {
    const offset = bytes.position;
    const block = await bytes.take(blockBytes);
    if (block === undefined || isZero(block)) {
      if (extensions > 0) throw truncatedData("tar");
      await readEnd(bytes, block !== undefined, options);
      return undefined;
    }
    const raw = parseRawHeader(block, offset);
    releaseChunk(block);
    switch (raw.typeFlag) {
      case "x":
        pax = { ...pax, ...parsePaxRecords(await readExtension(bytes, raw, offset), offset) };
        break;
      case "g":
        globals = { ...globals, ...parsePaxRecords(await readExtension(bytes, raw, offset), offset) };
        break;
      case "L":
        long = { ...long, path: longText(await readExtension(bytes, raw, offset), offset) };
        break;
      case "K":
        long = { ...long, linkpath: longText(await readExtension(bytes, raw, offset), offset) };
        break;
      case "V":
        // A volume label: says nothing about any member.
        break;
      default:
        return { raw, records: { ...long, ...pax }, globals };
    }
  }
}

async function readExtension(bytes: ByteSource, raw: RawHeader, offset: number): Promise<Uint8Array> {
  if (raw.sizeBytes > extensionLimitBytes) {
    throw corruptData("tar", `the extended header at offset ${offset} says its size is ${raw.sizeBytes}`);
  }
  const body = raw.sizeBytes === 0 ? new Uint8Array(0) : await bytes.take(raw.sizeBytes);
  if (body === undefined) throw truncatedData("tar");
  await bytes.skip(paddingBytes(raw.sizeBytes));
  return body;
}

/** GNU tar ends a long name with a NUL byte. */
function longText(body: Uint8Array, offset: number): string {
  const end = body.indexOf(0);
  return decodeText(end < 0 ? body : body.subarray(0, end), "long name", offset);
}

/** Reads what may follow the last member: nothing, or at least one zero block and then zeros to the end. */
async function readEnd(bytes: ByteSource, firstBlockSeen: boolean, options: TarReadOptions): Promise<void> {
  const start = bytes.position;
  while (await bytes.fill()) {
    const at = bytes.position;
    const view = bytes.takeAvailable(Number.MAX_SAFE_INTEGER);
    const stray = view?.findIndex((byte) => byte !== 0) ?? -1;
    if (stray >= 0) throw corruptData("tar", `something else follows its end, at offset ${at + stray}`);
  }
  const complete = firstBlockSeen && bytes.position - start >= blockBytes;
  if (!complete && options.endMarker === "required") throw truncatedData("tar");
}

function isZero(block: Uint8Array): boolean {
  for (let index = 0; index < block.length; index++) if (block[index] !== 0) return false;
  return true;
}
