import { pipeline } from "node:stream/promises";
import { signalOption } from "../common/abort.ts";
import { EngineError, isEngineError } from "../common/errors.ts";
import type { CodecName } from "../codec/codec.ts";
import { codecNamed } from "../codec/codecs.ts";
import type { Repository } from "./repository.ts";

/**
 * Reads a stored WAL file, decoded, as a stream: `consume` gets its bytes and must read them all; its result is given
 * back. Undefined when the object does not exist. Damage throws `object-corrupt` with the object's name, but `consume`
 * has seen the bytes before it by then, so nothing may be published from within.
 */
export async function consumeWalObject<Result>(
  repository: Repository,
  object: { readonly key: string; readonly codec: CodecName },
  consume: (content: AsyncIterable<Uint8Array>) => Promise<Result>,
  signal?: AbortSignal,
): Promise<{ readonly result: Result } | undefined> {
  const opened = await repository.store.get(object.key, signalOption(signal));
  if (opened === undefined) return undefined;
  const decoder = codecNamed(object.codec).createDecoder();
  try {
    const result = await pipeline(opened.body, decoder, consume, signalOption(signal));
    return { result };
  } catch (error) {
    throw namingObject(repository, object.key, error);
  }
}

function namingObject(repository: Repository, key: string, error: unknown): unknown {
  if (!isEngineError(error, "object-corrupt") || error.message.includes(key)) return error;
  return new EngineError("object-corrupt", `could not read "${repository.store.url}/${key}"`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
