import { crc32 } from "node:zlib";
import type { BlockList } from "../common/block-pool.ts";
import { EngineError } from "../common/errors.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import {
  checksumOf,
  encodedChecksum,
  formatCrc32Checksum,
  type ContentChecksum,
} from "./content-checksum.ts";
import type { WalEncoder } from "./encode-wal.ts";
import type { LocalWal } from "./local-wal.ts";
import type { ReadBuffers } from "./read-buffers.ts";

/** One way of writing a file, shared by all targets that want it so. */
interface Form {
  readonly target: ArchiveTarget;
  /** Targets that still need it. */
  users: number;
  /** Something that hangs may still be reading it. */
  isStuck: boolean;
  blocks: BlockList | undefined;
}

interface Loaded {
  readonly checksum: ContentChecksum;
  /** Known when some form needs it beside it. */
  readonly crc32: number | undefined;
}

/**
 * The content of one WAL file for all targets of a push: read once, when the first of them is ready for it, and encoded
 * once for each form. Every form stays in memory until the last target that wants it is done; the buffer that the file
 * was read into is free as soon as it is encoded.
 */
export class WalContent {
  readonly #parts: { readonly buffers: ReadBuffers; readonly encoder: WalEncoder };
  readonly #local: LocalWal;
  readonly #signal: AbortSignal | undefined;
  readonly #forms = new Map<string, Form>();
  #loading: Promise<Loaded> | undefined;
  #isClosed = false;

  constructor(
    parts: { readonly buffers: ReadBuffers; readonly encoder: WalEncoder },
    local: LocalWal,
    targets: readonly ArchiveTarget[],
    signal: AbortSignal | undefined,
  ) {
    this.#parts = parts;
    this.#local = local;
    this.#signal = signal;
    for (const target of targets) {
      const form = this.#forms.get(formOf(target));
      if (form !== undefined) form.users++;
      else this.#forms.set(formOf(target), { target, users: 1, isStuck: false, blocks: undefined });
    }
  }

  /** Whether the file was not read and will not be any more: `piecesFor` must not be called then. */
  get isMissed(): boolean {
    return this.#isClosed && this.#loading === undefined;
  }

  /** The encoded bytes for this target, until it leaves. Throws what is wrong with the file: `wal-refused`, `file-io`. */
  async piecesFor(target: ArchiveTarget): Promise<readonly Uint8Array[]> {
    await this.#load();
    return this.#forms.get(formOf(target))?.blocks?.pieces ?? [];
  }

  /** Of the plain content, after `piecesFor`. */
  async crc32(): Promise<number | undefined> {
    return (await this.#load()).crc32;
  }

  /** Of the plain content. Reads the file for it when no target needed that. Throws as `piecesFor`. */
  async checksum(): Promise<ContentChecksum> {
    if (this.#loading !== undefined) return (await this.#loading).checksum;
    return this.#local.checksum();
  }

  /** This target needs it no more. `isStuck`: a request of it may still be reading the bytes. */
  leave(target: ArchiveTarget, { isStuck }: { readonly isStuck: boolean }): void {
    const form = this.#forms.get(formOf(target));
    if (form === undefined) return;
    form.users--;
    form.isStuck ||= isStuck;
    if (form.users > 0) return;
    if (form.isStuck) form.blocks?.discard();
    else form.blocks?.[Symbol.dispose]();
    form.blocks = undefined;
  }

  /** Ends reading of the file: what is being read is read to its end, nothing is begun. Calling it again is fine. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#loading?.catch(() => undefined);
    await this.#local[Symbol.asyncDispose]();
  }

  async #load(): Promise<Loaded> {
    this.#loading ??= this.#readAndEncode();
    return this.#loading;
  }

  async #readAndEncode(): Promise<Loaded> {
    const { buffers, encoder } = this.#parts;
    using lease = await buffers.lease(this.#local.sizeBytes);
    await this.#local.readWhole(lease.bytes);
    const forms = [...this.#forms.values()];
    const settled = await Promise.allSettled(
      forms.map(async (form) => {
        const blocks = await encoder.encode(lease.bytes, form.target, this.#signal);
        // Whoever wanted it may have failed meanwhile.
        if (form.users > 0) form.blocks = blocks;
        else blocks[Symbol.dispose]();
      }),
    );
    const failed = settled.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) {
      // A native step may still be reading it.
      lease.discard();
      throw failed.reason;
    }
    await this.#local.requireUnchanged();
    const needsSum = forms.some(({ target }) => target.codec === "none");
    const sum = needsSum ? crc32(lease.bytes) : undefined;
    const checksum = sum === undefined ? this.#encodedChecksum(lease.bytes) : formatCrc32Checksum(sum);
    return { checksum, crc32: sum };
  }

  /** From the encoders where one of them has it, else computed. */
  #encodedChecksum(content: Uint8Array): ContentChecksum {
    for (const { target, blocks } of this.#forms.values()) {
      const checksum = blocks && encodedChecksum(target.codec, blocks.pieces);
      if (checksum !== undefined) return checksum;
    }
    return checksumOf(content);
  }
}

/** Why a target gets nothing that is no fault of its own: the file may have become another one. */
export function missedError(target: ArchiveTarget, name: string): EngineError {
  return new EngineError(
    "wal-timeout",
    `WAL file "${name}" was acknowledged before repository "${target.repository.name}" was ready for it`,
    { details: { segment: name } },
  );
}

const formOf = ({ codec, level }: ArchiveTarget): string => `${codec} ${level}`;
