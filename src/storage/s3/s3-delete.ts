/** Removing objects: a thousand per request where the server can, else one by one. */
import { mapConcurrent } from "../../common/concurrency.ts";
import type { CallOptions } from "../object-store.ts";
import { isNotFound, isNotImplemented } from "./s3-errors.ts";
import type { S3Session } from "./s3-session.ts";

/** The most DeleteObjects takes. */
const batchKeys = 1000;
const singleDeletesAtOnce = 8;

export function createDelete(
  session: S3Session,
): (keys: readonly string[], options: CallOptions) => Promise<void> {
  let batches = session.profile.batchDelete;

  return async (keys, options) => {
    for (let at = 0; at < keys.length; at += batchKeys) {
      const batch = keys.slice(at, at + batchKeys);
      await session.attempt(`delete ${describe(batch)}`, options.signal, async () => {
        if (batches && batch.length > 1) batches = await deleteBatch(session, batch, options);
        if (batches && batch.length > 1) return;
        await mapConcurrent(
          batch,
          singleDeletesAtOnce,
          async (key) => deleteOne(session, key, options),
          options.signal,
        );
      });
    }
  };
}

/** False when the server does not know this request, or wants a checksum in a form we do not send. */
async function deleteBatch(
  session: S3Session,
  keys: readonly string[],
  options: CallOptions,
): Promise<boolean> {
  const command = new session.sdk.DeleteObjectsCommand({
    Bucket: session.bucket,
    Delete: { Quiet: true, Objects: keys.map((key) => ({ Key: session.fullKey(key) })) },
  });
  try {
    const output = await session.send(command, options.signal);
    const failure = output.Errors?.find((error) => error.Code !== "NoSuchKey");
    if (failure === undefined) return true;
    const key = session.relativeKey(failure.Key ?? "");
    throw session.translate(
      { name: failure.Code, message: failure.Message },
      `delete "${key}"`,
      options.signal,
    );
  } catch (error) {
    if (isNotImplemented(error)) return false;
    throw error;
  }
}

async function deleteOne(session: S3Session, key: string, options: CallOptions): Promise<void> {
  const command = new session.sdk.DeleteObjectCommand({ Bucket: session.bucket, Key: session.fullKey(key) });
  try {
    await session.send(command, options.signal);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function describe(keys: readonly string[]): string {
  return keys.length === 1 ? `"${keys[0]}"` : `"${keys[0]}" and ${keys.length - 1} more`;
}
