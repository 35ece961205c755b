import { throwIfAborted } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { checkKeyPrefix, checkObjectKey } from "../../storage/object-key.ts";
import type {
  AbandonedUpload,
  CallOptions,
  ListEntry,
  ObjectInfo,
  ObjectStore,
} from "../../storage/object-store.ts";
import { checkPartBytes } from "../../storage/upload-parts.ts";
import type { KeyRing } from "./key-ring.ts";
import { createObjectPrefix, readObjectPrefix } from "./object-header.ts";
import { openContent } from "./opened-content.ts";
import { plainBytesOf } from "./payload.ts";
import { sealContent } from "./seal-content.ts";
import { listSealed } from "./sealed-list.ts";
import { plainKey, sealedKey } from "./sealed-names.ts";
import { SealedUpload, sealedCapabilities, sealedPartBytes } from "./sealed-upload.ts";

/** Where the keys come from. Each throws what keeps it from saying so. */
export interface KeySource {
  /** Undefined when nothing was ever stored. */
  forReading(signal: AbortSignal | undefined): Promise<KeyRing | undefined>;
  /** Makes the keys if need be. */
  forWriting(signal: AbortSignal | undefined): Promise<KeyRing>;
  /** Asks again: somebody else may have added a key. */
  again(signal: AbortSignal | undefined): Promise<KeyRing | undefined>;
}

export interface EncryptionOptions {
  readonly keys: KeySource;
  /** What all keys of the repository begin with, slash included; an object is bound to what follows. */
  readonly root: string;
}

/**
 * A store of which everything is encrypted: whoever uses it sees plain keys, sizes and bytes; what lies below is an age
 * file `KEY.age` for each object. Objects without the suffix are not seen.
 *
 * Reading throws `object-corrupt`, before a byte of what is damaged is handed on, for an object that was changed, cut,
 * put under another key, or written by somebody who did not have the repository's identity; `encryption-key` for one
 * that was encrypted to an identity that the keys do not have.
 */
export function withEncryption(store: ObjectStore, { keys, root }: EncryptionOptions): ObjectStore {
  const boundKey = (key: string): string => (key.startsWith(root) ? key.slice(root.length) : `/${key}`);

  const payloadKeyOf = async (
    prefix: Buffer,
    key: string,
    ring: KeyRing,
    { signal }: CallOptions,
  ): Promise<Uint8Array> => {
    const read = readObjectPrefix(prefix, ring, boundKey(key));
    if (read.kind === "ok") return read.payloadKey;
    const newer = await keys.again(signal);
    const second = newer === undefined ? read : readObjectPrefix(prefix, newer, boundKey(key));
    if (second.kind === "ok") return second.payloadKey;
    throw unknownIdentity(store, key);
  };

  return {
    url: store.url,
    get capabilities() {
      return sealedCapabilities(store.capabilities);
    },
    head: async (key, options = {}) => {
      checkObjectKey(key);
      throwIfAborted(options.signal);
      if ((await keys.forReading(options.signal)) === undefined) return undefined;
      const info = await store.head(sealedKey(key), options);
      return info === undefined ? undefined : plainInfo(info);
    },
    list: async function* list(prefix, options = {}): AsyncGenerator<ListEntry> {
      checkKeyPrefix(prefix);
      throwIfAborted(options.signal);
      if ((await keys.forReading(options.signal)) === undefined) return;
      yield* listSealed(store, prefix, options, plainInfo);
    },
    get: async (key, options = {}) => {
      checkObjectKey(key);
      throwIfAborted(options.signal);
      const ring = await keys.forReading(options.signal);
      if (ring === undefined) return undefined;
      return openContent(store, sealedKey(key), {
        ...options,
        plainInfo,
        payloadKeyOf: async (prefix) => payloadKeyOf(prefix, key, ring, options),
      });
    },
    put: async (key, pieces, options = {}) => {
      checkObjectKey(key);
      throwIfAborted(options.signal);
      const { newest } = await keys.forWriting(options.signal);
      const sealed = await sealContent(createObjectPrefix(newest, boundKey(key)), pieces, options);
      return plainInfo(await store.put(sealedKey(key), [sealed], options));
    },
    startUpload: async (key, options = {}) => {
      checkObjectKey(key);
      throwIfAborted(options.signal);
      const capabilities = sealedCapabilities(store.capabilities);
      const partBytes = options.partBytes ?? capabilities.preferredPartBytes;
      checkPartBytes(partBytes, capabilities);
      const { newest } = await keys.forWriting(options.signal);
      const inner = await store.startUpload(sealedKey(key), {
        ...options,
        partBytes: sealedPartBytes(partBytes),
      });
      const prefix = createObjectPrefix(newest, boundKey(key));
      return new SealedUpload({ inner, prefix, partBytes, maxParts: capabilities.maxParts, plainInfo });
    },
    delete: async (deleted, options = {}) => {
      for (const key of deleted) checkObjectKey(key);
      throwIfAborted(options.signal);
      if (deleted.length === 0 || (await keys.forReading(options.signal)) === undefined) return;
      await store.delete(deleted.map(sealedKey), options);
    },
    abandonedUploads: async function* abandonedUploads(
      prefix,
      options = {},
    ): AsyncGenerator<AbandonedUpload> {
      checkKeyPrefix(prefix);
      throwIfAborted(options.signal);
      for await (const upload of store.abandonedUploads(prefix, options)) {
        const key = plainKey(upload.key);
        if (key?.startsWith(prefix) === true) yield { ...upload, key };
      }
    },
    abortAbandonedUpload: async (upload, options = {}) =>
      store.abortAbandonedUpload({ ...upload, key: sealedKey(upload.key) }, options),
    close: async () => store.close(),
  };
}

/** Of a stored object that no content gives, the size is 0: reading it says what is wrong with it. */
function plainInfo(info: ObjectInfo): ObjectInfo {
  return { ...info, key: plainKey(info.key) ?? info.key, sizeBytes: plainBytesOf(info.sizeBytes) ?? 0 };
}

function unknownIdentity(store: ObjectStore, key: string): EngineError {
  return new EngineError(
    "encryption-key",
    `could not read "${key}" in ${store.url}: it was encrypted to an identity that the repository's keys do not have`,
    {
      hint: "Was the object with the keys replaced by an older one? What `tidemark key export` saved may have the identity.",
    },
  );
}
