/** What the conformance tests share. */
import { isEngineError } from "../../../common/errors.ts";
import type { ListEntry, ObjectStore, OpenObject } from "../../object-store.ts";

export async function uploadAll(
  store: ObjectStore,
  key: string,
  parts: readonly Uint8Array[],
  ifAbsent = false,
): Promise<void> {
  const upload = await store.startUpload(key, { ifAbsent });
  for (const [index, part] of parts.entries()) await upload.writePart(index, [part]);
  await upload.complete();
}

export function bytes(value: string): Buffer {
  return Buffer.from(value);
}

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(length: number, seed: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  let state = (seed + 1) * 0x9e3779b1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    buffer[at] = state >>> 24;
  }
  return buffer;
}

export async function drain(opened: OpenObject | undefined): Promise<Buffer> {
  if (opened === undefined) throw new Error("the object is not there");
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function content(store: ObjectStore, key: string): Promise<Buffer> {
  return drain(await store.get(key));
}

export async function text(store: ObjectStore, key: string): Promise<string> {
  return (await content(store, key)).toString();
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(items);
}

/** How each call failed; they are awaited together, so that none fails unseen. */
export async function codesOf(calls: readonly Promise<unknown>[]): Promise<(string | undefined)[]> {
  const results = await Promise.allSettled(calls);
  return results.map((result) =>
    result.status === "rejected" && isEngineError(result.reason) ? result.reason.code : undefined,
  );
}

export function nameOf(entry: ListEntry): string {
  return entry.kind === "object" ? entry.key : entry.prefix;
}

export function keysOf(entries: readonly ListEntry[]): string[] {
  return entries.map(nameOf);
}
