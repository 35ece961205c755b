/** Listing a container: pages of List Blobs as one sequence in the order of the port. */
import type { BlobItem } from "@azure/storage-blob";
import { EngineError } from "../../common/errors.ts";
import { inKeyOrder, nameOfEntry } from "../listing-order.ts";
import { compareKeys, isObjectKey } from "../object-key.ts";
import type { AbandonedUpload, CallOptions, ListEntry } from "../object-store.ts";
import { isDiscardMark } from "./azure-discard.ts";
import { isNotFound } from "./azure-errors.ts";
import { abortBy, objectInfo } from "./azure-objects.ts";
import type { AzureSession } from "./azure-session.ts";
import { uploadOfMark, uploadsOf } from "./azure-upload.ts";

export interface AzureListOptions extends CallOptions {
  readonly delimiter?: "/";
  readonly startAfter?: string;
}

export async function* listObjects(
  session: AzureSession,
  prefix: string,
  options: AzureListOptions,
): AsyncGenerator<ListEntry> {
  let last: string | undefined;
  for await (const entry of inKeyOrder(listEntries(session, prefix, options))) {
    const name = nameOfEntry(entry);
    if (last !== undefined && compareKeys(name, last) <= 0) throw outOfOrder(session, last, name);
    last = name;
    // Azure's own parameter for this is young, and what it means beside a delimiter another thing.
    if (options.startAfter === undefined || compareKeys(name, options.startAfter) > 0) yield entry;
  }
}

async function* listEntries(
  session: AzureSession,
  prefix: string,
  { delimiter, signal }: AzureListOptions,
): AsyncGenerator<ListEntry> {
  for await (const { items, prefixes } of pagesOf(session, prefix, {
    delimiter,
    signal,
    unfinished: false,
  })) {
    const entries: ListEntry[] = items.flatMap((item) => {
      const key = session.relativeKey(item.name);
      return isObject(item) && isObjectKey(key) ? [{ kind: "object", ...infoOf(key, item) }] : [];
    });
    for (const name of prefixes) {
      const common = session.relativeKey(name);
      if (isObjectKey(common.slice(0, -1))) entries.push({ kind: "prefix", prefix: common });
    }
    yield* entries.sort((a, b) => compareKeys(nameOfEntry(a), nameOfEntry(b)));
  }
}

/** Uploads that were left: blobs that have blocks and no content, whose blocks are asked for; and marks (`azure-discard.ts`). */
export async function* listUploads(
  session: AzureSession,
  prefix: string,
  { signal }: CallOptions,
): AsyncGenerator<AbandonedUpload> {
  for await (const { items } of pagesOf(session, prefix, {
    delimiter: undefined,
    signal,
    unfinished: true,
  })) {
    for (const item of items) {
      const key = session.relativeKey(item.name);
      if (!isObjectKey(key) || (item.properties.contentLength ?? 0) > 0) continue;
      const sinceWhen = item.properties.lastModified ?? new Date();
      if (isDiscardMark(item.metadata)) yield uploadOfMark(key, sinceWhen);
      else yield* uploadsOf(key, await blocksOf(session, key, signal), sinceWhen);
    }
  }
}

async function blocksOf(
  session: AzureSession,
  key: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  return session.attempt(`look at the upload of "${key}"`, signal, async () => {
    const { blob } = await session.connect();
    try {
      const { uncommittedBlocks = [] } = await blob(key).getBlockList("uncommitted", abortBy(signal));
      return uncommittedBlocks.map(({ name }) => name);
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  });
}

interface Page {
  readonly items: readonly BlobItem[];
  readonly prefixes: readonly string[];
}

interface PageOptions {
  readonly delimiter: "/" | undefined;
  readonly signal: AbortSignal | undefined;
  /** Blobs that have blocks and no content yet, too. */
  readonly unfinished: boolean;
}

async function* pagesOf(
  session: AzureSession,
  prefix: string,
  { delimiter, signal, unfinished }: PageOptions,
): AsyncGenerator<Page> {
  const query = {
    prefix: session.fullKey(prefix),
    includeMetadata: true,
    includeUncommitedBlobs: unfinished,
    ...abortBy(signal),
  };
  let marker: string | undefined;
  do {
    const page = await session.attempt(`list "${prefix}"`, signal, async () => {
      const { container } = await session.connect();
      const from = marker === undefined ? {} : { continuationToken: marker };
      const pages =
        delimiter === undefined
          ? container.listBlobsFlat(query).byPage(from)
          : container.listBlobsByHierarchy(delimiter, query).byPage(from);
      return firstPage(session, prefix, pages);
    });
    yield page;
    marker = page.marker;
  } while (marker !== undefined);
}

interface Segment {
  readonly segment: {
    readonly blobItems: readonly BlobItem[];
    readonly blobPrefixes?: readonly { readonly name: string }[];
  };
  readonly continuationToken?: string;
}

async function firstPage(
  session: AzureSession,
  prefix: string,
  pages: AsyncIterator<Segment>,
): Promise<Page & { readonly marker: string | undefined }> {
  try {
    const { value, done } = await pages.next();
    if (done === true) return { items: [], prefixes: [], marker: undefined };
    const { segment, continuationToken } = value;
    return {
      items: segment.blobItems,
      prefixes: segment.blobPrefixes?.map(({ name }) => name) ?? [],
      marker: continuationToken === "" ? undefined : continuationToken,
    };
  } catch (error) {
    // Web pages of proxies and portals are well-formed answers too, and an empty list would say "absent".
    if (error instanceof TypeError) throw notAList(session, prefix);
    throw error;
  }
}

function infoOf(key: string, { properties }: BlobItem) {
  return objectInfo(key, properties.contentLength ?? 0, properties);
}

/** Accounts with a hierarchical namespace list their folders too, as blobs without content. */
function isObject({ metadata }: BlobItem): boolean {
  return !isDiscardMark(metadata) && metadata?.["hdi_isfolder"] !== "true";
}

function outOfOrder(session: AzureSession, before: string, after: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `${session.url} lists "${after}" after "${before}": not in the order of Azure`,
    {
      retryable: false,
      hint: "This account's lists cannot be relied upon (one with a hierarchical namespace may list folder by folder); use another one.",
    },
  );
}

function notAList(session: AzureSession, prefix: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not list "${prefix}" in ${session.url}: the answer is no list`,
    { hint: "A proxy between here and the store may be answering in its place; check the endpoint." },
  );
}
