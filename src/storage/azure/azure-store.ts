/** The adapter for Azure Blob Storage, and its emulator Azurite. */
import type { Tags } from "@azure/storage-blob";
import { throwIfAborted } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { mib } from "../../common/units.ts";
import { checkKeyPrefix, checkObjectKey } from "../object-key.ts";
import type { ObjectStore, StoreCapabilities } from "../object-store.ts";
import { checkPartBytes } from "../upload-parts.ts";
import { maxBlockBytes, maxBlocks } from "./azure-limits.ts";
import { listObjects, listUploads } from "./azure-list.ts";
import { deleteObjects, getObject, headObject, putObject, type AzureContext } from "./azure-objects.ts";
import { openAzureSession, type AzureSessionOptions } from "./azure-session.ts";
import { dropUpload, startAzureUpload } from "./azure-upload.ts";

export interface AzureStoreOptions extends AzureSessionOptions {
  /** Preferred size of upload parts in bytes. Default 16 MiB: objects up to 781 GiB. */
  readonly partBytes?: number;
  /** Index tags that an object written under this key gets. */
  readonly tagsOf?: (key: string) => Tags;
  readonly signal?: AbortSignal;
}

/**
 * Opens a container as an object store. Sends nothing yet: wrong names and keys show with the first call. Throws `config`
 * when the CA file or the credentials file cannot be read, or the credentials are another account's. `close` ends the
 * connections.
 */
export async function openAzureStore(options: AzureStoreOptions): Promise<ObjectStore> {
  throwIfAborted(options.signal);
  const session = await openAzureSession(options);
  const context: AzureContext = { session, tagsOf: options.tagsOf ?? (() => ({})) };
  const capabilities: StoreCapabilities = {
    // Promised by the service, and by the emulator.
    conditionalCreate: true,
    minPartBytes: 1,
    maxPartBytes: maxBlockBytes,
    maxParts: maxBlocks,
    preferredPartBytes: options.partBytes ?? 16 * mib,
    parallelParts: true,
    maker: "Azure",
    encryptsAlways: true,
  };

  return {
    url: session.url,
    capabilities,
    head: async (key, callOptions = {}) => {
      checkBlobName(key);
      return headObject(context, key, callOptions);
    },
    async *list(prefix, listOptions = {}) {
      checkKeyPrefix(prefix);
      yield* listObjects(session, prefix, listOptions);
    },
    get: async (key, getOptions = {}) => {
      checkBlobName(key);
      return getObject(context, key, getOptions);
    },
    put: async (key, pieces, writeOptions = {}) => {
      checkBlobName(key);
      return putObject(context, key, pieces, writeOptions);
    },
    startUpload: async (key, uploadOptions = {}) => {
      checkBlobName(key);
      const partBytes = uploadOptions.partBytes ?? capabilities.preferredPartBytes;
      checkPartBytes(partBytes, capabilities);
      return startAzureUpload(context, key, partBytes, uploadOptions);
    },
    delete: async (keys, callOptions = {}) => {
      for (const key of keys) checkBlobName(key);
      await deleteObjects(context, keys, callOptions);
    },
    async *abandonedUploads(prefix, callOptions = {}) {
      checkKeyPrefix(prefix);
      yield* listUploads(session, prefix, callOptions);
    },
    abortAbandonedUpload: async (upload, callOptions = {}) => dropUpload(session, upload, callOptions),
    close: async () => session.close(),
  };
}

/**
 * Throws `usage` for what would become another name there: Azure takes a backslash for a slash, and a dot at the end of a
 * step may be lost on the way.
 */
function checkBlobName(key: string): void {
  checkObjectKey(key);
  if (!/\\|\.(?:\/|$)/.test(key)) return;
  throw new EngineError("usage", `${JSON.stringify(key)} cannot be the name of an Azure blob`, {
    hint: "Azure changes backslashes, and dots at the end of a step: use other names.",
  });
}
