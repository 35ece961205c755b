import { pipeline } from "node:stream/promises";
import { codecNamed } from "../codec/codecs.ts";
import { Measure, measured } from "../codec/measure.ts";
import type { ZstdFrameDecoder } from "../codec/zstd-frame-decoder.ts";
import { readTar } from "../codec/tar/reader.ts";
import { signalOption, throwIfAborted } from "../common/abort.ts";
import { EngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import { discardBody } from "../storage/object-body.ts";
import type { Repository } from "../repository/repository.ts";
import type { RestorePart } from "./backup-parts.ts";
import type { TreeWriter, WrittenUnit } from "./tree-writer.ts";

export interface PartPlace {
  readonly writer: TreeWriter;
  readonly unit: WrittenUnit;
  readonly frames: ZstdFrameDecoder;
  /** Told of stored bytes as they are read. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches, decodes and unpacks one part, and checks its size and SHA-256 against the manifest. Throws `object-corrupt`,
 * naming the object, when it is not as it should be, and `object-missing`: then what `unit` notes is not to be used.
 */
export async function unpackPart(
  repository: Repository,
  part: RestorePart,
  { writer, unit, frames, onBytes, signal }: PartPlace,
): Promise<void> {
  const opened = await repository.store.get(part.key, signalOption(signal));
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
          await writer.add(member, body, unit);
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
      details: { ...cause?.details, key: part.key },
    },
  );
}
