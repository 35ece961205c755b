import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { temporaryPathFor } from "../common/durable-file.ts";
import { fileError } from "../common/errors.ts";
import { releaseChunk } from "../common/release-chunk.ts";
import { codecNamed } from "../codec/codecs.ts";
import type { CodecName } from "../codec/codec.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { Repository } from "../repository/repository.ts";
import { consumeWalObject } from "../repository/wal-stream.ts";
import { readWalSum } from "../repository/wal-sum.ts";
import { WalContentCheck } from "../repository/wal-content-check.ts";

export interface Delivery {
  readonly file: WalFileName;
  /** Where the file goes, whole or not at all; what was there is replaced. */
  readonly destination: string;
  readonly walSegmentSizeBytes?: number;
  readonly expectedSystemIdentifier?: SystemIdentifier;
  /** Who the file shall belong to, when we are root. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Sync the content before it appears under its name. Default false: PostgreSQL asks again for what a crash took. */
  readonly sync?: boolean;
}

/**
 * Downloads, decodes and checks one stored object into a hidden file beside the destination, and renames it there.
 * Gives its size, or undefined when the object does not exist. Throws `object-corrupt` for damage, `file-io` or
 * `disk-full` for the local side.
 */
export async function deliverObject(
  repository: Repository,
  object: { readonly key: string; readonly codec: CodecName },
  delivery: Delivery,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const { selfChecking } = codecNamed(object.codec);
  const sum = selfChecking ? undefined : await readWalSum(repository, delivery.file, signal);
  const check = new WalContentCheck({
    file: delivery.file,
    everyPage: !selfChecking && sum === undefined,
    ...(sum === undefined ? {} : { sum }),
    ...(delivery.walSegmentSizeBytes === undefined
      ? {}
      : { walSegmentSizeBytes: delivery.walSegmentSizeBytes }),
    ...(delivery.expectedSystemIdentifier === undefined
      ? {}
      : { systemIdentifier: delivery.expectedSystemIdentifier }),
  });
  const temporary = temporaryPathFor(delivery.destination);
  let handle: FileHandle | undefined;
  try {
    const whole = await consumeWalObject(
      repository,
      object,
      async (content) => {
        handle = await create(temporary, delivery);
        for await (const chunk of content) {
          check.update(chunk);
          await append(handle, chunk, temporary);
          releaseChunk(chunk);
        }
        check.finish();
        if (delivery.sync === true) await sync(handle, temporary);
      },
      signal,
    );
    if (whole === undefined) return undefined;
    await publish(temporary, delivery.destination);
    return check.sizeBytes;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await handle?.close();
  }
}

async function create(path: string, delivery: Delivery): Promise<FileHandle> {
  try {
    const handle = await open(path, "wx", 0o600);
    if (delivery.owner !== undefined) await handle.chown(delivery.owner.uid, delivery.owner.gid);
    return handle;
  } catch (error) {
    throw fileError("write", path, error);
  }
}

async function append(handle: FileHandle, chunk: Uint8Array, path: string): Promise<void> {
  try {
    await handle.writeFile(chunk);
  } catch (error) {
    throw fileError("write", path, error);
  }
}

async function sync(handle: FileHandle, path: string): Promise<void> {
  try {
    await handle.datasync();
  } catch (error) {
    throw fileError("write", path, error);
  }
}

async function publish(temporary: string, destination: string): Promise<void> {
  try {
    await rename(temporary, destination);
  } catch (error) {
    throw fileError("write", destination, error);
  }
}
