/** The adapter for Google Cloud Storage, over its JSON API. Google's S3 door is the S3 adapter's. */
import { throwIfAborted } from "../../common/abort.ts";
import { mapConcurrent } from "../../common/concurrency.ts";
import { mib } from "../../common/units.ts";
import { checkKeyPrefix, checkObjectKey } from "../object-key.ts";
import type { CallOptions, ObjectStore, StoreCapabilities } from "../object-store.ts";
import { checkPartBytes } from "../upload-parts.ts";
import { gcsStatus } from "./gcs-errors.ts";
import { listObjects } from "./gcs-list.ts";
import { getObject, getResource, putObject } from "./gcs-objects.ts";
import { openGcsSession, type GcsSession, type GcsSessionOptions } from "./gcs-session.ts";
import { maxGcsParts, startGcsUpload } from "./gcs-upload.ts";
import { maxGcsPartBytes, uploadUnitBytes } from "./gcs-url.ts";

export interface GcsStoreOptions extends GcsSessionOptions {
  /** Preferred size of upload parts in bytes. Default 16 MiB: one is held in memory, and each costs a round trip. */
  readonly partBytes?: number;
  readonly signal?: AbortSignal;
}

const deletesAtOnce = 16;

/**
 * Opens a bucket as an object store. Sends nothing yet: wrong names and credentials show with the first call. Throws
 * `config` when a file that is named cannot be read, `usage` for a proxy that is none. `close` ends the connections.
 */
export async function openGcsStore(options: GcsStoreOptions): Promise<ObjectStore> {
  throwIfAborted(options.signal);
  const session = await openGcsSession(options);
  const capabilities: StoreCapabilities = {
    conditionalCreate: true,
    minPartBytes: uploadUnitBytes,
    maxPartBytes: maxGcsPartBytes,
    maxParts: maxGcsParts,
    preferredPartBytes: options.partBytes ?? 16 * mib,
    parallelParts: false,
    forgetsAbandonedUploads: true,
    maker: "Google Cloud Storage",
    encryptsAlways: true,
  };
  return {
    url: session.url,
    capabilities,
    head: async (key, callOptions = {}) => {
      checkObjectKey(key);
      return (await getResource(session, key, callOptions))?.info;
    },
    async *list(prefix, listOptions = {}) {
      checkKeyPrefix(prefix);
      yield* listObjects(session, prefix, listOptions);
    },
    get: async (key, getOptions = {}) => {
      checkObjectKey(key);
      return getObject(session, key, getOptions);
    },
    put: async (key, pieces, writeOptions = {}) => {
      checkObjectKey(key);
      return putObject(session, key, pieces, writeOptions);
    },
    startUpload: async (key, uploadOptions = {}) => {
      checkObjectKey(key);
      const partBytes = uploadOptions.partBytes ?? capabilities.preferredPartBytes;
      checkPartBytes(partBytes, capabilities);
      return startGcsUpload(session, key, partBytes, uploadOptions);
    },
    delete: async (keys, callOptions = {}) => {
      for (const key of keys) checkObjectKey(key);
      await mapConcurrent(
        keys,
        deletesAtOnce,
        async (key) => deleteObject(session, key, callOptions),
        callOptions.signal,
      );
    },
    // oxlint-disable-next-line require-yield -- they cannot be listed, and are gone after a week.
    async *abandonedUploads(prefix, callOptions = {}) {
      checkKeyPrefix(prefix);
      throwIfAborted(callOptions.signal);
    },
    abortAbandonedUpload: async (_upload, callOptions = {}) => throwIfAborted(callOptions.signal),
    close: async () => session.close(),
  };
}

async function deleteObject(session: GcsSession, key: string, { signal }: CallOptions): Promise<void> {
  const action = `delete "${key}"`;
  await session.attempt(action, signal, async () => {
    try {
      await session.call({ method: "DELETE", path: session.objectPath(key) }, signal);
    } catch (error) {
      if (gcsStatus(error) !== 404) throw error;
      await session.requireBucket(action, signal);
    }
  });
}
