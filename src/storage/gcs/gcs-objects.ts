/** Looking at objects, opening them and writing them whole. */
import { randomBytes } from "node:crypto";
import { EngineError } from "../../common/errors.ts";
import type { ByteRange, CallOptions, ObjectInfo, OpenObject, WriteOptions } from "../object-store.ts";
import { openNothing, streamBody, totalBytesOf, unmeasuredAnswer } from "../stream-body.ts";
import { byteLength } from "../upload-parts.ts";
import { checksumOf, formatCrc32c } from "./gcs-checksum.ts";
import { gcsStatus } from "./gcs-errors.ts";
import type { HttpAnswer } from "./gcs-http.ts";
import type { GcsSession } from "./gcs-session.ts";

/** What is asked of an object's resource. */
export const resourceFields = "name,size,generation,timeCreated,crc32c";
export const contentType = "application/octet-stream";

/** An object's resource, as far as it concerns us. */
export interface GcsResource {
  readonly info: ObjectInfo;
  readonly generation: string | undefined;
  /** Base64 of the four bytes, as Google writes it. */
  readonly crc32c: string | undefined;
}

/** The generation serves as etag: it is another one for each content, and every kind of answer has it. */
export function toResource(key: string, body: Readonly<Record<string, unknown>>): GcsResource {
  const text = (name: string): string | undefined => {
    const value = body[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  };
  const generation = text("generation");
  const created = Date.parse(text("timeCreated") ?? "");
  return {
    info: {
      key,
      sizeBytes: Number(text("size") ?? 0),
      modifiedAt: new Date(Number.isNaN(created) ? 0 : created),
      ...(generation === undefined ? {} : { etag: generation }),
    },
    generation,
    crc32c: text("crc32c"),
  };
}

export async function getResource(
  session: GcsSession,
  key: string,
  options: CallOptions,
): Promise<GcsResource | undefined> {
  const action = `look at "${key}"`;
  return session.attempt(action, options.signal, async () => {
    try {
      const query = { fields: resourceFields };
      const { body } = await session.call(
        { method: "GET", path: session.objectPath(key), query },
        options.signal,
      );
      return toResource(key, body);
    } catch (error) {
      if (gcsStatus(error) !== 404) throw error;
      await session.requireBucket(action, options.signal);
      return undefined;
    }
  });
}

export async function getObject(
  session: GcsSession,
  key: string,
  options: CallOptions & { readonly range?: ByteRange },
): Promise<OpenObject | undefined> {
  const { range, signal } = options;
  if (range?.endByte !== undefined && range.endByte <= range.startByte)
    return openEmptyRange(session, key, range, options);
  const action = `read "${key}"`;
  return session.attempt(action, signal, async () => {
    try {
      const answer = await session.open(
        {
          method: "GET",
          path: session.objectPath(key),
          query: { alt: "media" },
          // "gzip" keeps the store from unpacking what was stored with that encoding: the bytes come as they lie there.
          headers: {
            "accept-encoding": "gzip",
            ...(range === undefined ? {} : { range: formatRange(range) }),
          },
        },
        signal,
      );
      return openAnswer(session, key, answer, options);
    } catch (error) {
      if (gcsStatus(error) === 404) {
        await session.requireBucket(action, signal);
        return undefined;
      }
      if (range !== undefined && gcsStatus(error) === 416)
        return openEmptyRange(session, key, range, options);
      throw error;
    }
  });
}

async function openEmptyRange(
  session: GcsSession,
  key: string,
  range: ByteRange,
  options: CallOptions,
): Promise<OpenObject | undefined> {
  const resource = await getResource(session, key, options);
  return resource === undefined ? undefined : openNothing(resource.info, range, session.url);
}

function formatRange(range: ByteRange): string {
  return `bytes=${range.startByte}-${range.endByte === undefined ? "" : range.endByte - 1}`;
}

function openAnswer(
  session: GcsSession,
  key: string,
  { message }: HttpAnswer,
  options: CallOptions & { readonly range?: ByteRange },
): OpenObject {
  const { headers } = message;
  const total = totalBytesOf(headers["content-range"]);
  const expected = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
  const failed = `could not read "${key}" in ${session.url}`;
  if (expected === undefined || (options.range !== undefined && total === undefined)) {
    message.destroy();
    throw unmeasuredAnswer(failed, expected === undefined ? "length" : "range");
  }
  const { info } = toResource(key, {
    size: total ?? expected,
    generation: headers["x-goog-generation"],
    timeCreated: headers["last-modified"],
  });
  return {
    info,
    body: streamBody({
      stream: message,
      expectedBytes: expected,
      failed,
      attempt: async (step) => session.attempt(`read "${key}"`, options.signal, step),
    }),
  };
}

/** One request with the object's facts and its content; the store compares the checksum before anything is visible. */
export async function putObject(
  session: GcsSession,
  key: string,
  pieces: readonly Uint8Array[],
  options: WriteOptions,
): Promise<ObjectInfo> {
  const action = `write "${key}"`;
  return session.attempt(action, options.signal, async () => {
    const checksum = await checksumOf(pieces);
    const { headers, content } = multipart(
      { name: session.fullKey(key), contentType, crc32c: formatCrc32c(checksum) },
      pieces,
    );
    try {
      const { body } = await session.call(
        {
          method: "POST",
          path: `/upload${session.objectsPath}`,
          query: { uploadType: "multipart", fields: resourceFields, ...condition(options) },
          headers,
          pieces: content,
        },
        options.signal,
      );
      const sent = { sizeBytes: byteLength(pieces), checksum };
      return await confirmWritten(session, toResource(key, body), sent, options.signal);
    } catch (error) {
      if (options.ifAbsent === true && gcsStatus(error) === 412) throw objectExists(session, key);
      if (gcsStatus(error) === 404) await session.requireBucket(action, options.signal);
      throw error;
    }
  });
}

/** Generation 0 is that of an object that does not exist. */
export function condition(options: WriteOptions): Readonly<Record<string, string>> {
  return options.ifAbsent === true ? { ifGenerationMatch: "0" } : {};
}

export function objectExists(session: GcsSession, key: string): EngineError {
  return new EngineError("object-exists", `"${key}" exists already in ${session.url}`);
}

/**
 * The facts of an object that was written. When what the store has is not what was sent, it is removed, as far as that can
 * be done, and `store-unavailable` is thrown.
 */
export async function confirmWritten(
  session: GcsSession,
  { info, generation, crc32c }: GcsResource,
  sent: { readonly sizeBytes: number; readonly checksum: number },
  signal: AbortSignal | undefined,
): Promise<ObjectInfo> {
  const checksum = formatCrc32c(sent.checksum);
  if (info.sizeBytes === sent.sizeBytes && (crc32c === undefined || crc32c === checksum)) return info;
  if (generation !== undefined) {
    const query = { ifGenerationMatch: generation };
    await session
      .call({ method: "DELETE", path: session.objectPath(info.key), query }, signal)
      .catch(() => undefined);
  }
  throw new EngineError(
    "store-unavailable",
    `"${info.key}" was damaged on its way to ${session.url}: it has ${info.sizeBytes} bytes with checksum ${crc32c} there, and ${sent.sizeBytes} with ${checksum} were sent`,
  );
}

function multipart(
  metadata: object,
  pieces: readonly Uint8Array[],
): { readonly headers: Readonly<Record<string, string>>; readonly content: readonly Uint8Array[] } {
  const boundary = `tidemark-${randomBytes(24).toString("hex")}`;
  const begin = Buffer.from(
    `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
      `--${boundary}\r\nContent-Type: ${contentType}\r\n\r\n`,
  );
  const content = [begin, ...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)];
  return {
    headers: {
      "content-type": `multipart/related; boundary=${boundary}`,
      "content-length": String(byteLength(content)),
    },
    content,
  };
}
