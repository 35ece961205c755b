/** Listing a bucket: pages as one sequence in the order of the port. */
import { EngineError } from "../../common/errors.ts";
import { compareKeys, isObjectKey } from "../object-key.ts";
import type { CallOptions, ListEntry } from "../object-store.ts";
import { gcsStatus, bucketMissing } from "./gcs-errors.ts";
import { toResource } from "./gcs-objects.ts";
import type { GcsAnswer, GcsSession } from "./gcs-session.ts";

export interface GcsListOptions extends CallOptions {
  readonly delimiter?: "/";
  readonly startAfter?: string;
}

export async function* listObjects(
  session: GcsSession,
  prefix: string,
  options: GcsListOptions,
): AsyncGenerator<ListEntry> {
  const { startAfter, signal } = options;
  const query = {
    prefix: session.fullKey(prefix),
    maxResults: "1000",
    fields: "kind,nextPageToken,prefixes,items(name,size,generation,timeCreated)",
    ...(options.delimiter === undefined ? {} : { delimiter: options.delimiter }),
    // Inclusive: the key itself is left out below.
    ...(startAfter === undefined ? {} : { startOffset: session.fullKey(startAfter) }),
  };
  let token: string | undefined;
  let last: string | undefined;
  do {
    const page = await nextPage(
      session,
      prefix,
      { ...query, ...(token === undefined ? {} : { pageToken: token }) },
      signal,
    );
    for (const entry of pageEntries(session, page)) {
      const name = nameOf(entry);
      if (entry.kind === "object" && startAfter !== undefined && compareKeys(name, startAfter) <= 0) continue;
      if (last !== undefined && compareKeys(name, last) <= 0) throw outOfOrder(session, last, name);
      last = name;
      yield entry;
    }
    const next = page["nextPageToken"];
    token = typeof next === "string" && next !== "" ? next : undefined;
  } while (token !== undefined);
}

async function nextPage(
  session: GcsSession,
  prefix: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<GcsAnswer["body"]> {
  const action = `list "${prefix}"`;
  return session.attempt(action, signal, async () => {
    try {
      const { body } = await session.call({ method: "GET", path: session.objectsPath, query }, signal);
      // Whatever else answers with JSON would be taken for an empty list, and that says "absent".
      if (body["kind"] !== "storage#objects") throw notAList(session, prefix);
      return body;
    } catch (error) {
      if (gcsStatus(error) === 404) throw bucketMissing(action, session.url);
      throw error;
    }
  });
}

function pageEntries(session: GcsSession, page: GcsAnswer["body"]): ListEntry[] {
  const objects = arrayAt(page, "items").flatMap((item): ListEntry[] => {
    const resource = item as Readonly<Record<string, unknown>>;
    const key = session.relativeKey(String(resource["name"]));
    // Consoles make empty objects with a trailing slash to show folders; those are no keys of the port.
    return isObjectKey(key) ? [{ kind: "object", ...toResource(key, resource).info }] : [];
  });
  const prefixes = arrayAt(page, "prefixes").flatMap((common): ListEntry[] => {
    const prefix = session.relativeKey(String(common));
    return isObjectKey(prefix.slice(0, -1)) ? [{ kind: "prefix", prefix }] : [];
  });
  if (prefixes.length === 0) return objects;
  return [...objects, ...prefixes].sort((a, b) => compareKeys(nameOf(a), nameOf(b)));
}

function nameOf(entry: ListEntry): string {
  return entry.kind === "object" ? entry.key : entry.prefix;
}

function arrayAt(page: GcsAnswer["body"], name: string): readonly unknown[] {
  const value = page[name];
  return Array.isArray(value) ? value : [];
}

function notAList(session: GcsSession, prefix: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not list "${prefix}" in ${session.url}: the answer is no list`,
    {
      hint: "A proxy between here and the store may be answering in its place; check the endpoint.",
    },
  );
}

function outOfOrder(session: GcsSession, before: string, after: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `${session.url} lists "${after}" after "${before}": not in the order of the bytes of their names`,
    {
      retryable: false,
      hint: "This server's lists cannot be relied upon; use another one.",
    },
  );
}
