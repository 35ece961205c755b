/** The protocol of a resumable upload: bytes in order, and asking how far the store is when an answer was lost. */
import { EngineError } from "../../common/errors.ts";
import { byteLength, slicePieces } from "../upload-parts.ts";
import { gcsStatus } from "./gcs-errors.ts";
import { formatCrc32c } from "./gcs-checksum.ts";
import type { GcsAnswer, GcsSession } from "./gcs-session.ts";

/** What Google answers while an upload is not complete, and when one was cancelled. */
const incomplete = 308;
const cancelled = 499;

/** The resource of the object that an upload has become. */
type Resource = GcsAnswer["body"];

export class GcsUploadSession {
  readonly #session: GcsSession;
  readonly #url: URL;
  /** What the store has, and has said so. */
  #storedBytes = 0;
  /** A request was sent whose answer did not arrive: the store may have more. */
  #mayHaveMore = false;

  constructor(session: GcsSession, url: URL) {
    this.#session = session;
    this.#url = url;
  }

  /**
   * Sends the bytes that come next, a multiple of 256 KiB. After a failure it is to be repeated with the same bytes, and
   * goes on where the store is. Throws what `GcsSession.call` does (`isGone`).
   */
  async send(pieces: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<void> {
    if (byteLength(pieces) === 0) return;
    const resource = await this.#transfer(pieces, {}, signal);
    if (resource !== undefined) throw this.#disorder("says that the upload is complete, and it is not");
  }

  /** Sends the last bytes, of which there must be some; the same holds for failures. The object is there then. */
  async finish(
    pieces: readonly Uint8Array[],
    checksum: number,
    signal: AbortSignal | undefined,
  ): Promise<Resource> {
    const totalBytes = this.#storedBytes + byteLength(pieces);
    const resource = await this.#transfer(pieces, { totalBytes, checksum }, signal);
    if (resource !== undefined) return resource;
    const state = await this.#ask(totalBytes, signal);
    if (state.resource !== undefined) return state.resource;
    throw this.#disorder("has all bytes of the upload, and does not make the object");
  }

  /** Drops the upload; one that is gone is fine. */
  async drop(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#call("DELETE", { "content-length": "0" }, [cancelled], signal);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #transfer(
    pieces: readonly Uint8Array[],
    end: { readonly totalBytes?: number; readonly checksum?: number },
    signal: AbortSignal | undefined,
  ): Promise<Resource | undefined> {
    const startByte = this.#storedBytes;
    const endByte = startByte + byteLength(pieces);
    let at = startByte;
    if (this.#mayHaveMore) {
      const state = await this.#ask(end.totalBytes, signal);
      if (state.resource !== undefined) return state.resource;
      at = state.storedBytes;
    }
    while (at < endByte) {
      if (at < startByte)
        throw this.#disorder(`has only ${at} of the ${startByte} bytes that it said it has`);
      const rest = slicePieces(pieces, at - startByte, endByte - startByte);
      this.#mayHaveMore = true;
      const answer = await this.#put(rest, contentRange(at, endByte, end.totalBytes), end.checksum, signal);
      if (answer.status !== incomplete) return answer.body;
      const stored = storedBytesOf(answer);
      if (stored <= at) throw this.#disorder(`took none of the bytes ${at} to ${endByte}`);
      at = stored;
    }
    if (at > endByte) throw this.#disorder(`has ${at} bytes of the upload, and ${endByte} were sent`);
    this.#storedBytes = end.totalBytes === undefined ? endByte : startByte;
    this.#mayHaveMore = end.totalBytes !== undefined;
    return undefined;
  }

  async #ask(
    totalBytes: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly storedBytes: number; readonly resource?: Resource }> {
    const answer = await this.#put([], `bytes */${totalBytes ?? "*"}`, undefined, signal);
    if (answer.status === incomplete) return { storedBytes: storedBytesOf(answer) };
    return { storedBytes: 0, resource: answer.body };
  }

  async #put(
    pieces: readonly Uint8Array[],
    range: string,
    checksum: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<GcsAnswer> {
    const headers = {
      "content-length": String(byteLength(pieces)),
      "content-range": range,
      // Compared before the object is made.
      ...(checksum === undefined ? {} : { "x-goog-hash": `crc32c=${formatCrc32c(checksum)}` }),
    };
    return this.#call("PUT", headers, [incomplete], signal, pieces);
  }

  async #call(
    method: "PUT" | "DELETE",
    headers: Readonly<Record<string, string>>,
    expected: readonly number[],
    signal: AbortSignal | undefined,
    pieces: readonly Uint8Array[] = [],
  ): Promise<GcsAnswer> {
    return this.#session.call({ method, path: this.#url, headers, expected, pieces }, signal);
  }

  /** A server that contradicts itself: nothing that is sent now can be relied upon. */
  #disorder(what: string): EngineError {
    return new EngineError("store-unavailable", `${this.#session.url} ${what}`, { retryable: false });
  }
}

/** Whether an upload is no longer known: completed, cancelled, or older than a week. */
export function isGone(error: unknown): boolean {
  return [404, 410, cancelled].includes(gcsStatus(error) ?? 0);
}

function contentRange(startByte: number, endByte: number, totalBytes: number | undefined): string {
  return `bytes ${startByte}-${endByte - 1}/${totalBytes ?? "*"}`;
}

/** Without the header the store has nothing yet. */
function storedBytesOf({ headers }: GcsAnswer): number {
  const last = /-(\d+)$/.exec(headers.range ?? "")?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}
