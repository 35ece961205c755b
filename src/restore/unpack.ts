import { pipeline } from "node:stream/promises";
import { codecNamed } from "../codec/codecs.ts";
import { Measure, measured } from "../codec/measure.ts";
import { ZstdFrameDecoder } from "../codec/zstd-frame-decoder.ts";
import { readTar } from "../codec/tar/reader.ts";
import { throwIfAborted } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { EngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import { discardBody } from "../storage/object-body.ts";
import type { Repository } from "../repository/repository.ts";
import type { RestorePart } from "./backup-parts.ts";
import type { TreeWriter } from "./tree-writer.ts";

export interface UnpackOptions {
  readonly repository: Repository;
  readonly parts: readonly RestorePart[];
  /** The tree of each archive. */
  readonly writerOf: (archive: RestorePart["archive"]) => TreeWriter;
  /**
   * Whether the parts of one archive may be unpacked at the same time: no path is in two of ours. Barman may store a
   * path twice, and the later one counts, so its parts are taken in order.
   */
  readonly independentParts: boolean;
  /** Parts in flight, and frames being decoded. */
  readonly concurrency: number;
  /** Told of stored bytes as they are read. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches, decodes and unpacks all parts, and checks size and SHA-256 of each against the manifest. Throws
 * `object-corrupt`, naming the object, when one is not as it should be: then what is on disk is not to be used.
 */
export async function unpackParts(options: UnpackOptions): Promise<void> {
  const rows = options.independentParts
    ? options.parts.map((part) => [part])
    : [...Map.groupBy(options.parts, ({ archive }) => archive).values()];
  // The largest first, so that no long one is left for the end.
  const bySize = rows.toSorted((a, b) => sizeOf(b) - sizeOf(a));
  using frames = new ZstdFrameDecoder({ concurrency: options.concurrency });
  await mapConcurrent(
    bySize,
    options.concurrency,
    async (row) => {
      for (const part of row) await unpackPart(part, options, frames);
    },
    options.signal,
  );
}

const sizeOf = (row: readonly RestorePart[]): number =>
  row.reduce((sum, { storedBytes }) => sum + storedBytes, 0);

async function unpackPart(
  part: RestorePart,
  options: UnpackOptions,
  frames: ZstdFrameDecoder,
): Promise<void> {
  const { repository, writerOf, onBytes, signal } = options;
  const opened = await repository.store.get(part.key, signal === undefined ? {} : { signal });
  if (opened === undefined) {
    throw new EngineError(
      "object-missing",
      `"${repository.store.url}/${part.key}" was listed but is not there`,
    );
  }
  if (opened.info.sizeBytes !== part.storedBytes) {
    await discardBody(opened);
    throw corrupt(
      repository,
      part,
      `it has ${opened.info.sizeBytes} bytes, but ${part.storedBytes} were expected`,
    );
  }
  const measure = new Measure({ sha256: part.sha256 !== undefined });
  const writer = writerOf(part.archive);
  try {
    await pipeline(
      counted(measured(opened.body, measure), onBytes),
      part.codec === "zstd"
        ? (stored) => frames.decode(stored, signal)
        : codecNamed(part.codec).createDecoder(),
      async (decoded: AsyncIterable<Uint8Array>) => {
        // Without a digest a cut is noticed by the end marker only: not every codec's stream has an end of its own.
        const endMarker = part.sha256 === undefined ? "required" : "optional";
        for await (const { member, body } of readTar(decoded, { endMarker })) {
          await writer.add(member, body);
          if (writer.fileCount === 5) faultPoint("restore:mid-unpack");
        }
      },
      { signal },
    );
  } catch (cause) {
    // The pipeline throws Node's AbortError, which knows no code of ours.
    throwIfAborted(signal);
    if (cause instanceof EngineError && cause.code === "object-corrupt") {
      throw corrupt(repository, part, cause.message, cause);
    }
    throw cause;
  }
  const { sizeBytes, sha256 } = measure.result();
  if (sizeBytes !== part.storedBytes) {
    throw corrupt(repository, part, `${sizeBytes} bytes were read, but it has ${part.storedBytes}`);
  }
  if (part.sha256 !== undefined && sha256 !== part.sha256) {
    throw corrupt(repository, part, `its SHA-256 is ${sha256}, but the manifest says ${part.sha256}`);
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    // Read first: the consumer may give the chunk's memory back.
    const { length } = chunk;
    yield chunk;
    onBytes(length);
  }
}

function corrupt(
  repository: Repository,
  part: RestorePart,
  reason: string,
  cause?: EngineError,
): EngineError {
  return new EngineError(
    "object-corrupt",
    `could not unpack "${repository.store.url}/${part.key}": ${reason}`,
    {
      ...(cause === undefined ? {} : { cause }),
      hint: "Restore from another backup, or bring this object back from another copy of the repository.",
      details: { key: part.key },
    },
  );
}
