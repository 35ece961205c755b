import { corruptData, truncatedData } from "./corrupt.ts";

const format = "zstd";
const frameMagic = 0xfd2f_b528;
/** Sixteen magic numbers, `0x184D2A50` to `0x184D2A5F`, start a frame that decoders skip. */
const skippableMagic = 0x184d_2a50;

/** What the next bytes of the stream are. Fields of fixed size are gathered in `#field` before they are read. */
type Part =
  | "magic"
  | "skippable-size"
  | "skippable-body"
  | "descriptor"
  | "window-and-dictionary"
  | "content-size"
  | "block-header"
  | "block-body"
  | "checksum";

/**
 * Follows the frames of a zstd stream (RFC 8878, section 3.1) from header to header, without decompressing. Node's
 * decoder ends silently after the first frame and also when the input is cut off; knowing where frames end lets ours
 * hand it one frame after the other, and tell an end from an interruption.
 */
export class ZstdFrames {
  #part: Part = "magic";
  /** Bytes still missing of the current part. */
  #missing = 4;
  /** The current field, little-endian, and how many of its bytes have been seen. */
  #field = 0;
  #seen = 0;
  #checksum = false;
  #lastBlock = false;
  #contentSizeFieldBytes = 0;
  #contentBytes: number | undefined;
  #frames = 0;

  /** Whether a frame has just ended, or none has begun. */
  get isBetween(): boolean {
    return this.#part === "magic" && this.#seen === 0;
  }

  /**
   * The size of the content that the frame says it has, once its header has been seen, and until the next one's; 0 for one
   * that is skipped. Undefined when it does not say.
   */
  get contentBytes(): number | undefined {
    return this.#contentBytes;
  }

  /** Takes in the bytes from `start` and gives the offset behind the frame that ends first, or the chunk's length. */
  frameEnd(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length) {
      if (skippedParts.has(this.#part)) {
        const step = Math.min(this.#missing, chunk.length - at);
        at += step;
        this.#missing -= step;
      } else {
        this.#field += (chunk[at++] ?? 0) * 2 ** (8 * this.#seen++);
        this.#missing--;
      }
      if (this.#missing === 0 && this.#advance()) return at;
    }
    return at;
  }

  /** Throws `object-corrupt` unless the stream may end here: after at least one frame, and not within another. */
  assertComplete(): void {
    if (this.#part !== "magic" || this.#seen > 0 || this.#frames === 0) throw truncatedData(format);
  }

  /** Goes on to the next part that has any bytes; true when a frame is complete. */
  #advance(): boolean {
    do {
      if (this.#next()) return true;
    } while (this.#missing === 0);
    return false;
  }

  #expect(part: Part, bytes: number): false {
    this.#part = part;
    this.#missing = bytes;
    this.#field = 0;
    this.#seen = 0;
    return false;
  }

  #endFrame(): true {
    this.#frames++;
    this.#expect("magic", 4);
    return true;
  }

  #next(): boolean {
    const field = this.#field;
    switch (this.#part) {
      case "magic":
        if (field === frameMagic) return this.#expect("descriptor", 1);
        if (field >= skippableMagic && field < skippableMagic + 16) return this.#expect("skippable-size", 4);
        throw corruptData(format, this.#frames === 0 ? "it does not start with a frame" : "no frame follows");
      case "skippable-size":
        this.#contentBytes = 0;
        return this.#expect("skippable-body", field);
      case "skippable-body":
      case "checksum":
        return this.#endFrame();
      case "descriptor":
        this.#checksum = (field & 0x04) !== 0;
        this.#contentSizeFieldBytes = contentSizeFieldBytes(field);
        return this.#expect("window-and-dictionary", windowAndDictionaryBytes(field));
      case "window-and-dictionary":
        return this.#expect("content-size", this.#contentSizeFieldBytes);
      case "content-size":
        // Above 2^53 it is only about right, which is good enough for what is too large anyway.
        this.#contentBytes = contentSize(field, this.#contentSizeFieldBytes);
        return this.#expect("block-header", 3);
      case "block-header":
        this.#lastBlock = (field & 1) === 1;
        return this.#expect("block-body", blockBytes(field));
      case "block-body":
        break;
    }
    if (!this.#lastBlock) return this.#expect("block-header", 3);
    return this.#checksum ? this.#expect("checksum", 4) : this.#endFrame();
  }
}

const skippedParts: ReadonlySet<Part> = new Set(["block-body", "skippable-body", "window-and-dictionary"]);

/** Bytes of window descriptor and dictionary ID, from the frame header descriptor. */
function windowAndDictionaryBytes(descriptor: number): number {
  return (isSingleSegment(descriptor) ? 0 : 1) + ([0, 1, 2, 4][descriptor & 0x03] ?? 0);
}

function contentSizeFieldBytes(descriptor: number): number {
  const flag = descriptor >> 6;
  if (flag === 0) return isSingleSegment(descriptor) ? 1 : 0;
  return 2 ** flag;
}

/** Sizes that have two bytes start at 256. */
function contentSize(field: number, fieldBytes: number): number | undefined {
  if (fieldBytes === 0) return undefined;
  return fieldBytes === 2 ? field + 256 : field;
}

function isSingleSegment(descriptor: number): boolean {
  return (descriptor & 0x20) !== 0;
}

/** Stored bytes of a block: an RLE block has one, whatever size it stands for. */
function blockBytes(header: number): number {
  const type = (header >> 1) & 0x03;
  if (type === 3) throw corruptData(format, "a block has the reserved type");
  return type === 1 ? 1 : header >> 3;
}
