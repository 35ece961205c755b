/** Reading again what is, or ought to be, in the store: to find out what a lost answer said, or to go on after a cut. */
import { EngineError } from "../../common/errors.ts";
import { discardBody } from "../object-body.ts";
import type { ByteRange, CallOptions, ObjectInfo, ObjectStore } from "../object-store.ts";
import { byteLength } from "../upload-parts.ts";

/** Facts about the object when it consists of exactly these bytes, else undefined. */
export async function holdsExactly(
  store: ObjectStore,
  key: string,
  pieces: readonly Uint8Array[],
  options: CallOptions,
): Promise<ObjectInfo | undefined> {
  const opened = await store.get(key, options.signal === undefined ? {} : { signal: options.signal });
  if (opened === undefined) return undefined;
  if (opened.info.sizeBytes !== byteLength(pieces)) {
    await discardBody(opened);
    return undefined;
  }
  const rest = pieces.map((piece) => Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
  for await (const chunk of opened.body) {
    if (!startsWith(rest, chunk)) return undefined;
  }
  return rest.every((piece) => piece.length === 0) ? opened.info : undefined;
}

/** Whether the pieces begin with the chunk; if so, takes it away from them. */
function startsWith(pieces: Buffer[], chunk: Uint8Array): boolean {
  let at = 0;
  while (at < chunk.length) {
    const first = pieces[0];
    if (first === undefined) return false;
    const length = Math.min(first.length, chunk.length - at);
    if (first.compare(chunk, at, at + length, 0, length) !== 0) return false;
    at += length;
    if (length === first.length) pieces.shift();
    else pieces[0] = first.subarray(length);
  }
  return true;
}

/** The rest of an object whose body was cut. Throws when it is no longer the object that was opened first. */
export async function reopen(
  store: ObjectStore,
  first: ObjectInfo,
  range: ByteRange,
  options: CallOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const opened = await store.get(first.key, { ...options, range });
  if (opened === undefined) {
    throw new EngineError(
      "object-missing",
      `could not read "${first.key}" in ${store.url}: it was deleted meanwhile`,
    );
  }
  const { info } = opened;
  const same =
    info.sizeBytes === first.sizeBytes &&
    info.etag === first.etag &&
    info.modifiedAt.getTime() === first.modifiedAt.getTime();
  if (same) return opened.body;
  await discardBody(opened);
  throw new EngineError(
    "store-unavailable",
    `could not read "${first.key}" in ${store.url}: it was replaced meanwhile`,
    {
      retryable: false,
      hint: "Run the same command again.",
    },
  );
}
