import { codecNamed } from "../codec/codecs.ts";
import type { CodecName } from "../codec/codec.ts";
import { createEncoder } from "../codec/encode.ts";
import { GzipChunkEncoder } from "../codec/gzip-chunk-encoder.ts";
import { frameContentBytes, ZstdFrameEncoder } from "../codec/zstd-frame-encoder.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { BackupPart } from "../repository/backup-manifest.ts";
import { archivePartKey, type ArchiveName } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { ArchivePart } from "./archive-part.ts";
import type { LaneBuffers } from "./lane-buffers.ts";
import {
  chunkedEncoder,
  plainEncoder,
  streamEncoder,
  type ChunkedEncoding,
  type PartEncoder,
} from "./part-encoder.ts";
import { PartUpload } from "./part-upload.ts";
import { planUpload } from "./upload-plan.ts";

export interface PartWriterOptions {
  readonly repositories: readonly Repository[];
  readonly id: BackupId;
  readonly codec: CodecName;
  readonly level: number | undefined;
  /** Chunks being compressed at a time, of all parts together. */
  readonly lanes: number;
  readonly maxPartBytes: number;
  readonly uploadPartBytes: number | undefined;
  readonly signal: AbortSignal;
}

/** A part being written. */
export interface OpenPart {
  readonly archive: ArchiveName;
  readonly index: number;
  readonly part: ArchivePart;
}

/** A part that is in every repository. */
export interface FinishedPart extends BackupPart {
  readonly index: number;
}

/** Opens and closes the parts of one backup, numbering those of each archive without gaps. */
export class PartWriter implements Disposable {
  readonly #options: PartWriterOptions;
  readonly #nextIndex = new Map<ArchiveName, number>();
  readonly #finished: FinishedPart[] = [];
  /** Shared by all parts. */
  #frames: ZstdFrameEncoder | undefined;
  #gzip: GzipChunkEncoder | undefined;

  constructor(options: PartWriterOptions) {
    this.#options = options;
  }

  /** Parts that are complete, in the order of the manifest: `data` first, then each tablespace's. */
  get finished(): readonly FinishedPart[] {
    const rank = (archive: string) => (archive === "data" ? -1 : Number(archive));
    return this.#finished.toSorted((a, b) => rank(a.archive) - rank(b.archive) || a.index - b.index);
  }

  /** Takes an archive's next number. Whoever takes one must open and finish that part. */
  takeIndex(archive: ArchiveName): number {
    const index = this.#nextIndex.get(archive) ?? 0;
    this.#nextIndex.set(archive, index + 1);
    return index;
  }

  /** Starts a part. `largestFileBytes` is what its first file needs, if that is more than a part usually takes. */
  open(archive: ArchiveName, index: number, buffers: LaneBuffers, largestFileBytes = 0): OpenPart {
    const { repositories, id, maxPartBytes, uploadPartBytes, signal } = this.#options;
    const codec = codecNamed(this.#options.codec);
    const place = { archive, index, extension: codec.extension };
    const upload = new PartUpload({
      targets: repositories.map(({ store, server }) => ({ store, key: archivePartKey(server, id, place) })),
      ...planUpload(
        repositories.map(({ store }) => store.capabilities),
        // The last file may begin just below the limit.
        maxPartBytes + largestFileBytes,
        uploadPartBytes,
      ),
      signal,
    });
    return { archive, index, part: new ArchivePart({ encoder: this.#openEncoder(upload), upload, buffers }) };
  }

  #openEncoder(upload: PartUpload): PartEncoder {
    const { codec, level, lanes, signal } = this.#options;
    const options = { concurrency: lanes, ...(level === undefined ? {} : { level }) };
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

  /** To be called when every part has been published or aborted. */
  [Symbol.dispose](): void {
    this.#frames?.[Symbol.dispose]();
    this.#gzip?.[Symbol.dispose]();
  }

  /** Makes a part that has ended visible; then every repository has it. */
  async publish({ archive, index, part }: OpenPart): Promise<void> {
    const stored = await part.publish();
    const first = this.#options.repositories[0];
    if (first === undefined) return;
    const extension = codecNamed(this.#options.codec).extension;
    const key = archivePartKey(first.server, this.#options.id, { archive, index, extension });
    this.#finished.push({ name: key.slice(key.lastIndexOf("/") + 1), archive, index, ...stored });
  }
}

/** Frames need nothing around them. */
function framesOf(frames: ZstdFrameEncoder): ChunkedEncoding {
  const nothing = new Uint8Array(0);
  return { head: nothing, encode: async (chunk) => frames.encode(chunk), tail: nothing };
}
