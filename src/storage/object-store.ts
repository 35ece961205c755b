/**
 * The object-store port: everything Tidemark asks of a bucket, a container or a directory. Adapters translate; wrappers
 * add time-outs, limits, retries and logs; the conformance suite (`testing/conformance.ts`) is this contract as tests.
 *
 * Keys are relative to the store's root (the path part of its URL): non-empty, `/`-separated, no leading or trailing
 * slash, no `.` or `..` step, no control characters. Nothing is escaped; a store that would change a name (a backslash, on
 * Azure) refuses it (`usage`).
 */

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** When the store says the object was last written. */
  readonly modifiedAt: Date;
  /** Where the store has one: changes whenever the object is replaced. Compare it only with another of the same store. */
  readonly etag?: string;
  /** Of `head`, where the store says it: how it keeps the object. */
  readonly storedAs?: { readonly encryption?: string; readonly storageClass?: string };
}

/** One line of a listing with a delimiter: an object, or the common prefix (ending in `/`) of several. */
export type ListEntry =
  | ({ readonly kind: "object" } & ObjectInfo)
  | { readonly kind: "prefix"; readonly prefix: string };

export interface ByteRange {
  readonly startByte: number;
  /** Exclusive; absent means to the end. */
  readonly endByte?: number;
}

export interface OpenObject {
  readonly info: ObjectInfo;
  /**
   * The bytes, in order, in chunks that the consumer owns. Ends early only by throwing: a connection cut before the
   * last byte throws `store-unavailable` (a short body is never a normal end). Leaving the loop closes the connection.
   * It can be read once, and an object that was opened must be read or discarded (`discardBody`), or it stays open.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** Fail with `object-exists` if the key is taken. Atomic where `capabilities.conditionalCreate`, else check-then-put. */
  readonly ifAbsent?: boolean;
}

export interface UploadOptions extends WriteOptions {
  /**
   * The size of every part but the last, from `minPartBytes` to `maxPartBytes`; absent means `preferredPartBytes`.
   * Known from the start, because then a part's place follows from its index alone, in whatever order parts arrive.
   */
  readonly partBytes?: number;
}

export interface StoreCapabilities {
  /**
   * `ifAbsent` holds even against a concurrent writer. Said only when known: a store may learn it from its first
   * answers, so ask when it matters, not once at the start.
   */
  readonly conditionalCreate: boolean;
  /** Smallest size of an upload part but the last. */
  readonly minPartBytes: number;
  readonly maxPartBytes: number;
  readonly maxParts: number;
  /** The part size an upload should use when nothing is known about its length. */
  readonly preferredPartBytes: number;
  /** Parts of one upload may be written at the same time and in any order (otherwise: one after the other, in order). */
  readonly parallelParts: boolean;
  /** Uploads that were left cannot be listed; the store drops them by itself, and they cost nothing until then. */
  readonly forgetsAbandonedUploads?: boolean;
  /** Who makes this kind of store, for people. */
  readonly maker?: string;
  /** Everything is encrypted at rest without being asked. */
  readonly encryptsAlways?: boolean;
  /** What is replaced or deleted stays as an older version, and is paid for. Absent while it is not known. */
  readonly keepsVersions?: boolean;
  /** What else a person should know of this kind of store: `tidemark check store` shows it. */
  readonly remarks?: readonly StoreRemark[];
}

export interface StoreRemark {
  /** A word: `multipart`. */
  readonly topic: string;
  /** Lower case, without a full stop. */
  readonly text: string;
  /** A full sentence; where it is given, somebody should do something. */
  readonly hint?: string;
}

/**
 * A large object being written piece by piece. Nothing is visible under the key until `complete` succeeds; then the
 * whole object is, durably. An upload that is neither completed nor aborted (a crash) leaves only what
 * `abandonedUploads` finds, or what the store drops by itself (`forgetsAbandonedUploads`).
 */
export interface ObjectUpload {
  /**
   * Writes part `index` (0-based), given as several pieces to spare a copy: exactly `partBytes` long, but the last part,
   * which is 1 to `partBytes` long (0 only as the sole part). May be repeated for the same index with the same bytes.
   * The pieces may be reused by the caller once the promise has settled.
   */
  writePart(index: number, pieces: readonly Uint8Array[], options?: CallOptions): Promise<void>;
  /**
   * Makes the object visible: parts 0 to the highest one written, without gaps; no part at all is an empty object.
   * Repeating it after a lost answer succeeds if the object is there as written.
   */
  complete(options?: CallOptions): Promise<ObjectInfo>;
  /** Drops the upload and its parts. Safe to repeat, and after a failed `complete`. */
  abort(options?: CallOptions): Promise<void>;
}

export interface AbandonedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly startedAt: Date;
}

export interface ObjectStore {
  /** For messages: `s3://bucket/path` or `/srv/backup`; never contains secrets. */
  readonly url: string;
  readonly capabilities: StoreCapabilities;

  /** Facts about one object, or undefined when there is certainly none (a store in trouble throws instead). */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>;

  /**
   * Objects whose key starts with `prefix` (any string, not only whole steps), ascending by the UTF-8 bytes of the key.
   * With `delimiter` "/", keys are cut after the first delimiter behind the prefix. Only complete objects are listed.
   * `startAfter` leaves out keys up to and including it. A prefix without objects gives an empty list, no error.
   */
  list(
    prefix: string,
    options?: CallOptions & { readonly delimiter?: "/"; readonly startAfter?: string },
  ): AsyncIterable<ListEntry>;

  /** Opens an object, or undefined when there is certainly none. A range that starts behind the end throws `object-corrupt`. */
  get(key: string, options?: CallOptions & { readonly range?: ByteRange }): Promise<OpenObject | undefined>;

  /**
   * Writes a whole object in one request, replacing any other; on return it is durable and visible. Idempotent unless
   * `ifAbsent`. `pieces` are the content in order (to spare a copy); together they fit in memory comfortably (< 1 GiB).
   */
  put(key: string, pieces: readonly Uint8Array[], options?: WriteOptions): Promise<ObjectInfo>;

  /**
   * Starts an object too large, or of unknown size, for `put`. With `ifAbsent`, a taken key is reported here or by
   * `complete`, whichever sees it first.
   */
  startUpload(key: string, options?: UploadOptions): Promise<ObjectUpload>;

  /** Removes objects; keys that do not exist are fine. Not atomic: on failure some may be gone; repeat it. */
  delete(keys: readonly string[], options?: CallOptions): Promise<void>;

  /** Uploads below `prefix` that were started and neither completed nor aborted. */
  abandonedUploads(prefix: string, options?: CallOptions): AsyncIterable<AbandonedUpload>;

  abortAbandonedUpload(upload: AbandonedUpload, options?: CallOptions): Promise<void>;

  /** Closes connections. The store is not usable afterwards. */
  close(): Promise<void>;
}
