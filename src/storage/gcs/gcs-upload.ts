/**
 * A large object as a resumable upload: one session, whose bytes arrive one after the other. Why this way and not another:
 * docs/decisions/0012-large-objects-in-google-cloud-storage.md.
 */
import { throwIfAborted } from "../../common/abort.ts";
import { assert, EngineError } from "../../common/errors.ts";
import type { CallOptions, ObjectInfo, ObjectUpload, UploadOptions } from "../object-store.ts";
import { byteLength, PartLedger, slicePieces } from "../upload-parts.ts";
import { checksumOf, formatCrc32c } from "./gcs-checksum.ts";
import { gcsStatus } from "./gcs-errors.ts";
import {
  condition,
  confirmWritten,
  contentType,
  getResource,
  objectExists,
  putObject,
  resourceFields,
  toResource,
} from "./gcs-objects.ts";
import type { GcsSession } from "./gcs-session.ts";
import { GcsUploadSession, isGone } from "./gcs-upload-session.ts";
import { uploadUnitBytes } from "./gcs-url.ts";

/** Google's limit of an object is 5 TiB; of parts it knows none. */
export const maxGcsParts = (5 * 1024 ** 4) / uploadUnitBytes;

export async function startGcsUpload(
  session: GcsSession,
  key: string,
  partBytes: number,
  options: UploadOptions,
): Promise<ObjectUpload> {
  const action = `start to write "${key}"`;
  const url = await session.attempt(action, options.signal, async () => {
    try {
      const body = Buffer.from(JSON.stringify({ name: session.fullKey(key), contentType }));
      const { headers } = await session.call(
        {
          method: "POST",
          path: `/upload${session.objectsPath}`,
          query: { uploadType: "resumable", fields: resourceFields, ...condition(options) },
          headers: {
            "content-type": "application/json; charset=UTF-8",
            "content-length": String(body.length),
            "x-upload-content-type": contentType,
          },
          pieces: [body],
        },
        options.signal,
      );
      if (headers.location === undefined) throw new Error("the answer names no upload");
      return session.uploadUrl(headers.location);
    } catch (error) {
      if (options.ifAbsent === true && gcsStatus(error) === 412) throw objectExists(session, key);
      if (gcsStatus(error) === 404) await session.requireBucket(action, options.signal);
      throw error;
    }
  });
  return new GcsUpload(
    session,
    key,
    partBytes,
    new GcsUploadSession(session, url),
    options.ifAbsent === true,
  );
}

/**
 * What was given and not yet sent is held back (at least a byte, at most 256 KiB, and the last part where that is short):
 * a request has a multiple of 256 KiB unless it is the last one, and the last one must have something to send, since it is
 * what makes the object.
 */
class GcsUpload implements ObjectUpload {
  readonly #session: GcsSession;
  readonly #key: string;
  readonly #partBytes: number;
  readonly #upload: GcsUploadSession;
  readonly #ifAbsent: boolean;
  readonly #ledger: PartLedger<undefined>;
  /** Full parts that were taken; the next one has this index. */
  #taken = 0;
  /** The bytes of taken parts that were not sent. */
  #held: Buffer = Buffer.alloc(0);
  /** Of all bytes of taken parts. */
  #checksum = 0;
  /** A part that is shorter than the others, and so the last. */
  #last: Buffer = Buffer.alloc(0);
  /** Whether a request was sent that may have made the object, were its answer lost. */
  #finishTried = false;
  #completed: ObjectInfo | undefined;
  #dropped = false;

  constructor(
    session: GcsSession,
    key: string,
    partBytes: number,
    upload: GcsUploadSession,
    ifAbsent: boolean,
  ) {
    this.#session = session;
    this.#key = key;
    this.#partBytes = partBytes;
    this.#upload = upload;
    this.#ifAbsent = ifAbsent;
    this.#ledger = new PartLedger(partBytes, maxGcsParts);
  }

  async writePart(index: number, pieces: readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const sizeBytes = byteLength(pieces);
    this.#ledger.check(index, sizeBytes);
    if (sizeBytes < this.#partBytes) this.#last = Buffer.concat(pieces);
    else if (index >= this.#taken) await this.#take(index, pieces, options);
    this.#ledger.record(index, sizeBytes, undefined);
  }

  async #take(index: number, pieces: readonly Uint8Array[], options: CallOptions): Promise<void> {
    assert(index === this.#taken, `part ${index} comes after part ${this.#taken - 1}`);
    const all = [this.#held, ...pieces];
    const length = byteLength(all);
    const heldBytes = length % uploadUnitBytes === 0 ? uploadUnitBytes : length % uploadUnitBytes;
    const checksum = await checksumOf(pieces, this.#checksum);
    await this.#session.attempt(`write part ${index} of "${this.#key}"`, options.signal, async () => {
      try {
        await this.#upload.send(slicePieces(all, 0, length - heldBytes), options.signal);
      } catch (error) {
        throw isGone(error) ? uploadGone(this.#session, this.#key) : error;
      }
    });
    this.#held = Buffer.concat(slicePieces(all, length - heldBytes, length));
    this.#checksum = checksum;
    this.#taken++;
  }

  async complete(options: CallOptions = {}): Promise<ObjectInfo> {
    if (this.#completed !== undefined) return this.#completed;
    if (this.#dropped) throw uploadGone(this.#session, this.#key);
    const { sizeBytes } = this.#ledger.finish();
    if (sizeBytes === 0) {
      const info = await putObject(this.#session, this.#key, [], { ...options, ifAbsent: this.#ifAbsent });
      await this.abort(options);
      this.#completed = info;
    } else {
      this.#completed = await this.#finish(sizeBytes, options);
    }
    return this.#completed;
  }

  async #finish(sizeBytes: number, options: CallOptions): Promise<ObjectInfo> {
    const session = this.#session;
    const sent = { sizeBytes, checksum: await checksumOf([this.#last], this.#checksum) };
    const wasTried = this.#finishTried;
    /** What lies under the key, if an earlier try may have made it, whose answer was lost. */
    const found = async (): Promise<ObjectInfo | undefined> => {
      const resource = await getResource(session, this.#key, options);
      if (resource === undefined) return undefined;
      const { info, crc32c } = resource;
      const isOurs = info.sizeBytes === sizeBytes && crc32c === formatCrc32c(sent.checksum);
      if (wasTried && isOurs) return info;
      if (this.#ifAbsent) throw objectExists(session, this.#key);
      return undefined;
    };
    // Looked at although the session has the condition: emulators know it for objects written in one request alone.
    const before = this.#ifAbsent ? await found() : undefined;
    if (before !== undefined) return before;
    return session.attempt(`complete "${this.#key}"`, options.signal, async () => {
      this.#finishTried = true;
      try {
        const pieces = [this.#held, this.#last];
        const body = await this.#upload.finish(pieces, sent.checksum, options.signal);
        return await confirmWritten(session, toResource(this.#key, body), sent, options.signal);
      } catch (error) {
        const mayBeThere = isGone(error) || gcsStatus(error) === 412;
        const info = mayBeThere ? await found() : undefined;
        if (info !== undefined) return info;
        throw isGone(error) ? uploadGone(session, this.#key) : error;
      }
    });
  }

  async abort(options: CallOptions = {}): Promise<void> {
    if (this.#completed !== undefined) return;
    await this.#session.attempt(`abort the upload of "${this.#key}"`, options.signal, async () =>
      this.#upload.drop(options.signal),
    );
    this.#dropped = true;
  }
}

function uploadGone(session: GcsSession, key: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not write "${key}" in ${session.url}: the store no longer knows the upload`,
    {
      retryable: false,
      hint: "Run the same command again; an upload is forgotten when it is cancelled, and after a week.",
    },
  );
}
