import { z } from "zod";
import type { ResourceChange, ResourceStore } from "../control/resources/resource-store.ts";
import type { Resource } from "../control/resources/resource.ts";
import { lineMediaType, type ApiSchema } from "./api-route.ts";
import type { ApiStatus } from "./error-status.ts";
import { lineStream } from "./line-stream.ts";
import type { ResourceFilter } from "./selectors.ts";

/** Kubernetes' watch: a line for each object that is there, then one for each change. */
export const watchEvent: ApiSchema = {
  name: "WatchEvent",
  schema: z.object({
    type: z.enum(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
    object: z.record(z.string(), z.unknown()),
  }),
};

export interface WatchOptions {
  readonly store: ResourceStore;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly isWanted: ResourceFilter;
  /** An object as the client may see it. */
  readonly present: (resource: Resource) => Readonly<Record<string, unknown>>;
  /** A BOOKMARK says when everything that was there has been sent. */
  readonly hasBookmark: boolean;
}

type Line =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly resource: Resource }
  | { readonly type: "BOOKMARK"; readonly version: string };

/**
 * Streams the objects that are wanted: those of now as ADDED, and then every change, none left out and none twice. An object
 * that begins to match is ADDED, one that ceases to is DELETED, as a client with a selector sees it.
 */
export function watchResources(options: WatchOptions): Response {
  const { store, apiVersion, kind, namespace, isWanted, present, hasBookmark } = options;
  const isOurs = (resource: Resource): boolean =>
    resource.kind === kind && (namespace === undefined || resource.metadata.namespace === namespace);
  const body = lineStream<Line>({
    open(push) {
      // Both in one go: nothing can change between them.
      const stop = store.subscribe((change) => {
        const line = isOurs(change.resource) ? lineFor(change, known, isWanted) : undefined;
        if (line !== undefined) push(line);
      });
      const there = store.list({ kind, ...(namespace === undefined ? {} : { namespace }) }).filter(isWanted);
      const known = new Set(there.map(({ metadata }) => metadata.uid));
      const first: Line[] = there.map((resource) => ({ type: "ADDED", resource }));
      if (hasBookmark) first.push({ type: "BOOKMARK", version: store.version });
      return { first, stop };
    },
    render: (line) =>
      line.type === "BOOKMARK"
        ? { type: line.type, object: bookmark(apiVersion, kind, line.version) }
        : { type: line.type, object: present(line.resource) },
    overflow: (waiting) => ({ type: "ERROR", object: tooSlow(waiting) }),
  });
  return new Response(body, { headers: { "content-type": lineMediaType } });
}

/** Keeps `known`, the uids that the client has been told of. */
function lineFor(
  { type, resource }: ResourceChange,
  known: Set<string>,
  isWanted: ResourceFilter,
): Line | undefined {
  const { uid } = resource.metadata;
  const wasKnown = known.has(uid);
  const isGone = type === "deleted" || !isWanted(resource);
  if (isGone) {
    known.delete(uid);
    return wasKnown ? { type: "DELETED", resource } : undefined;
  }
  known.add(uid);
  return { type: wasKnown ? "MODIFIED" : "ADDED", resource };
}

function bookmark(apiVersion: string, kind: string, version: string): Record<string, unknown> {
  const annotations = { "k8s.io/initial-events-end": "true" };
  return { apiVersion, kind, metadata: { resourceVersion: version, annotations } };
}

function tooSlow(waiting: number): ApiStatus {
  return {
    apiVersion: "v1",
    kind: "Status",
    metadata: {},
    status: "Failure",
    message: `the client reads too slowly: ${waiting} changes were waiting for it`,
    reason: "Expired",
    code: 410,
    tidemark: { code: "aborted", hint: "Watch again: it begins with what is there." },
  };
}
