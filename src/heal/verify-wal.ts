import { pipeline } from "node:stream/promises";
import { crc32 } from "node:zlib";
import { signalOption } from "../common/abort.ts";
import { codecNamed } from "../codec/codecs.ts";
import type { CodecName } from "../codec/codec.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { Repository } from "../repository/repository.ts";
import { WalContentCheck } from "../repository/wal-content-check.ts";
import { consumeWalObject } from "../repository/wal-stream.ts";
import { readWalSum, type WalSum } from "../repository/wal-sum.ts";

/** What WAL is held against. */
export interface WalExpectation {
  readonly systemIdentifier: SystemIdentifier;
  readonly walSegmentSizeBytes: number | undefined;
}

/**
 * Reads one stored WAL file to its end and checks it: decoding, header, and its sum or else every page. Gives size and CRC-32
 * of its content, or undefined when there is none. Throws `object-corrupt`, also for a sum that cannot be read.
 */
export async function verifyStoredWal(
  repository: Repository,
  object: { readonly file: WalFileName; readonly key: string; readonly codec: CodecName },
  expected: WalExpectation,
  signal?: AbortSignal,
): Promise<WalSum | undefined> {
  const sum = codecNamed(object.codec).selfChecking
    ? undefined
    : await readWalSum(repository, object.file, signal);
  const read = await consumeWalObject(
    repository,
    object,
    async (content) => checkContent(content, { ...expected, ...object, sum }),
    signal,
  );
  return read?.result;
}

/** The same for stored bytes that are in memory. */
export async function verifyWalBytes(
  pieces: readonly Uint8Array[],
  object: { readonly file: WalFileName; readonly codec: CodecName; readonly sum: WalSum | undefined },
  expected: WalExpectation,
  signal?: AbortSignal,
): Promise<WalSum> {
  return pipeline(
    pieces,
    codecNamed(object.codec).createDecoder(),
    async (content: AsyncIterable<Uint8Array>) => checkContent(content, { ...expected, ...object }),
    signalOption(signal),
  );
}

async function checkContent(
  content: AsyncIterable<Uint8Array>,
  given: WalExpectation & {
    readonly file: WalFileName;
    readonly codec: CodecName;
    readonly sum: WalSum | undefined;
  },
): Promise<WalSum> {
  const { file, codec, sum, systemIdentifier, walSegmentSizeBytes } = given;
  const check = new WalContentCheck({
    file,
    systemIdentifier,
    everyPage: !codecNamed(codec).selfChecking && sum === undefined,
    ...(walSegmentSizeBytes === undefined ? {} : { walSegmentSizeBytes }),
    ...(sum === undefined ? {} : { sum }),
  });
  let crc = 0;
  for await (const chunk of content) {
    check.update(chunk);
    crc = crc32(chunk, crc);
  }
  check.finish();
  return { sizeBytes: check.sizeBytes, crc32: crc };
}
