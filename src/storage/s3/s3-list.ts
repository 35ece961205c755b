/** Listing a bucket: pages of ListObjectsV2 and ListMultipartUploads as one sequence in the order of the port. */
import type { ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { EngineError } from "../../common/errors.ts";
import { compareKeys, isObjectKey } from "../object-key.ts";
import type { AbandonedUpload, CallOptions, ListEntry } from "../object-store.ts";
import { trimQuotes } from "./s3-objects.ts";
import type { S3Session } from "./s3-session.ts";

export interface S3ListOptions extends CallOptions {
  readonly delimiter?: "/";
  readonly startAfter?: string;
}

export async function* listObjects(
  session: S3Session,
  prefix: string,
  options: S3ListOptions,
): AsyncGenerator<ListEntry> {
  const { sdk, bucket } = session;
  let token: string | undefined;
  let last: string | undefined;
  do {
    const page: ListObjectsV2CommandOutput = await session.attempt(
      `list "${prefix}"`,
      options.signal,
      async () =>
        session.send(
          new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: session.fullKey(prefix),
            ...(options.delimiter === undefined ? {} : { Delimiter: options.delimiter }),
            ...(options.startAfter === undefined ? {} : { StartAfter: session.fullKey(options.startAfter) }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          options.signal,
        ),
    );
    // Web pages of proxies and portals are well-formed answers too, and an empty list would say "absent".
    if (page.Name === undefined && page.IsTruncated === undefined) throw notAList(session, prefix);
    for (const entry of pageEntries(session, page)) {
      const name = entry.kind === "object" ? entry.key : entry.prefix;
      // Servers differ on whether a common prefix that begins before startAfter is listed again.
      if (last !== undefined && compareKeys(name, last) <= 0) throw outOfOrder(session, last, name);
      last = name;
      yield entry;
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    if (page.IsTruncated === true && token === undefined) throw cutShort(session, prefix);
  } while (token !== undefined);
}

/** A list that stops in its midst must not be taken for a whole one: what it leaves out would count as absent. */
function cutShort(session: S3Session, prefix: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not list "${prefix}" in ${session.url}: the server says that there is more, but not how to go on`,
    {
      retryable: false,
      hint: "It probably does not know ListObjectsV2; a newer version of the server does.",
    },
  );
}

function notAList(session: S3Session, prefix: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not list "${prefix}" in ${session.url}: the answer is no list`,
    {
      hint: "A proxy between here and the store may be answering in its place; check the endpoint.",
    },
  );
}

function pageEntries(session: S3Session, page: ListObjectsV2CommandOutput): ListEntry[] {
  const objects = (page.Contents ?? []).flatMap((object): ListEntry[] => {
    const key = session.relativeKey(object.Key ?? "");
    // Consoles make empty objects with a trailing slash to show folders; those are no keys of the port.
    if (!isObjectKey(key)) return [];
    return [
      {
        kind: "object",
        key,
        sizeBytes: object.Size ?? 0,
        modifiedAt: object.LastModified ?? new Date(0),
        ...(object.ETag === undefined ? {} : { etag: trimQuotes(object.ETag) }),
      },
    ];
  });
  const prefixes = (page.CommonPrefixes ?? []).flatMap((common): ListEntry[] => {
    const prefix = session.relativeKey(common.Prefix ?? "");
    return isObjectKey(prefix.slice(0, -1)) ? [{ kind: "prefix", prefix }] : [];
  });
  if (prefixes.length === 0) return objects;
  const name = (entry: ListEntry): string => (entry.kind === "object" ? entry.key : entry.prefix);
  return [...objects, ...prefixes].sort((a, b) => compareKeys(name(a), name(b)));
}

function outOfOrder(session: S3Session, before: string, after: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `${session.url} lists "${after}" after "${before}": not in the order of S3`,
    {
      retryable: false,
      hint: "This server's lists cannot be relied upon (directory buckets of S3 Express have no order); use another bucket.",
    },
  );
}

export async function* listUploads(
  session: S3Session,
  prefix: string,
  options: CallOptions,
): AsyncGenerator<AbandonedUpload> {
  const { sdk, bucket } = session;
  let marker: { readonly KeyMarker?: string; readonly UploadIdMarker?: string } | undefined = {};
  while (marker !== undefined) {
    const from: object = marker;
    const page = await session.attempt(
      `list unfinished uploads below "${prefix}"`,
      options.signal,
      async () =>
        session.send(
          new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: session.fullKey(prefix), ...from }),
          options.signal,
        ),
    );
    for (const upload of page.Uploads ?? []) {
      const key = session.relativeKey(upload.Key ?? "");
      if (upload.UploadId === undefined || !isObjectKey(key)) continue;
      yield { key, uploadId: upload.UploadId, startedAt: upload.Initiated ?? new Date() };
    }
    marker =
      page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? {
            KeyMarker: page.NextKeyMarker,
            ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
          }
        : undefined;
  }
}
