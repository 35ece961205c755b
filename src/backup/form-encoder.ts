import { codecNamed } from "../codec/codecs.ts";
import { createEncoder } from "../codec/encode.ts";
import { GzipChunkEncoder } from "../codec/gzip-chunk-encoder.ts";
import { frameContentBytes, ZstdFrameEncoder } from "../codec/zstd-frame-encoder.ts";
import type { StoredForm } from "../repository/stored-form.ts";
import {
  chunkedEncoder,
  plainEncoder,
  streamEncoder,
  type ChunkedEncoding,
  type PartEncoder,
} from "./part-encoder.ts";
import type { PartUpload } from "./part-upload.ts";

/** Encodes the parts of a backup in one form; what its parts can share, they share. */
export class FormEncoder implements Disposable {
  readonly #form: StoredForm;
  readonly #concurrency: number;
  #frames: ZstdFrameEncoder | undefined;
  #gzip: GzipChunkEncoder | undefined;

  /** `concurrency`: chunks being compressed at a time, of all parts together. */
  constructor(form: StoredForm, concurrency: number) {
    this.#form = form;
    this.#concurrency = concurrency;
  }

  /** For one part, whose encoded bytes go to `upload`. */
  open(upload: PartUpload, signal: AbortSignal): PartEncoder {
    const { codec, level } = this.#form;
    const options = { concurrency: this.#concurrency, ...(level === undefined ? {} : { level }) };
    if (codec === "none") return plainEncoder(upload);
    if (codec === "gzip") {
      this.#gzip ??= new GzipChunkEncoder(options);
      return chunkedEncoder(this.#gzip.startMember(), upload, signal);
    }
    if (codec !== "zstd") return streamEncoder(createEncoder(codecNamed(codec), options), upload, signal);
    // The window takes in a whole frame: libzstd then never has to match across the seam of its ring buffer.
    this.#frames ??= new ZstdFrameEncoder({ ...options, windowLog: Math.log2(frameContentBytes) });
    return chunkedEncoder(framesOf(this.#frames), upload, signal);
  }

  /** To be called when every part has ended or been aborted. */
  [Symbol.dispose](): void {
    this.#frames?.[Symbol.dispose]();
    this.#gzip?.[Symbol.dispose]();
  }
}

/** Frames need nothing around them. */
function framesOf(frames: ZstdFrameEncoder): ChunkedEncoding {
  const nothing = new Uint8Array(0);
  return { head: nothing, encode: async (chunk) => frames.encode(chunk), tail: nothing };
}
