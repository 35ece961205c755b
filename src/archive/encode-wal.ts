import { pipeline } from "node:stream/promises";
import { signalOption } from "../common/abort.ts";
import { assert } from "../common/errors.ts";
import { codecNamed } from "../codec/codecs.ts";
import type { ArchiveTarget } from "./archive-target.ts";

/** Compresses bytes that are in memory, in the thread pool. With `none` the result is the very same memory. */
export async function encodeWhole(
  bytes: Uint8Array,
  form: Pick<ArchiveTarget, "codec" | "level">,
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  if (form.codec === "none") return [bytes];
  const pieces: Uint8Array[] = [];
  await pipeline(
    [bytes],
    encoderFor(form),
    async (source: AsyncIterable<Uint8Array>) => {
      for await (const piece of source) pieces.push(piece);
    },
    signalOption(signal),
  );
  return pieces;
}

/** Compresses a stream and hands it to `consume` in parts of exactly `partBytes`, the last one shorter or empty. */
export async function encodeParts(
  source: AsyncIterable<Uint8Array>,
  form: Pick<ArchiveTarget, "codec" | "level">,
  partBytes: number,
  consume: (part: readonly Uint8Array[], isLast: boolean) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  await pipeline(
    source,
    encoderFor(form),
    async (encoded: AsyncIterable<Uint8Array>) => {
      let pieces: Uint8Array[] = [];
      let room = partBytes;
      for await (const chunk of encoded) {
        for (let rest = chunk; rest.length > 0;) {
          if (room === 0) {
            await consume(pieces, false);
            pieces = [];
            room = partBytes;
          }
          const piece = rest.subarray(0, room);
          pieces.push(piece);
          room -= piece.length;
          rest = rest.subarray(piece.length);
        }
      }
      await consume(pieces, true);
    },
    signalOption(signal),
  );
}

function encoderFor(form: Pick<ArchiveTarget, "codec" | "level">) {
  const { createEncoder, name } = codecNamed(form.codec);
  assert(createEncoder !== undefined, `codec "${name}" can write`);
  return createEncoder(form.level === undefined ? {} : { level: form.level });
}
