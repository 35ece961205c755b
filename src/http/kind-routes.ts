import { z } from "zod";
import { kindNameOf, versionPath, type KindName } from "../control/admission/kind-names.ts";
import { redactManifest } from "../control/admission/redact.ts";
import { createObject, replaceObject, type Written } from "../control/admission/write-object.ts";
import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import {
  formatKey,
  keyOf,
  toManifest,
  type Resource,
  type ResourceKey,
} from "../control/resources/resource.ts";
import { knownKinds, type KnownKind } from "../manifest/kinds/registry.ts";
import { defineRoute, flag, type ApiRoute, type ApiSchema } from "./api-route.ts";
import { statusSchema, successStatus } from "./error-status.ts";
import { parseFieldSelector, parseLabelSelector, type ResourceFilter } from "./selectors.ts";
import { watchEvent, watchResources } from "./watch-resources.ts";

/** Objects by kind, at Kubernetes' addresses. */

export interface KindRouteParts {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Six routes for each version of each kind that is kept. */
export function kindRoutes(parts: KindRouteParts): readonly ApiRoute[] {
  return knownKinds.flatMap((known) => {
    const name = kindNameOf(known.kind);
    return name === undefined ? [] : routesOf(known, name, parts);
  });
}

const objectForm = z.record(z.string(), z.unknown());

/** Values of Secrets are shown only to whoever asks for them in so many words. */
const reveal = flag.describe("show the values, which are redacted otherwise");

const listQuery = z.strictObject({
  labelSelector: z.string().describe("a=b, a!=b, a, !a, a in (b,c), a notin (b,c); with commas").optional(),
  fieldSelector: z.string().describe("metadata.name=…, metadata.namespace=…").optional(),
  watch: flag.describe("what is there as ADDED, then every change, a line of JSON each"),
  allowWatchBookmarks: flag.describe("with watch: a BOOKMARK when all that was there has been sent"),
});
const secretListQuery = listQuery.extend({ reveal });
const secretReadQuery = z.strictObject({ reveal });

type ListQuery = z.infer<typeof secretListQuery>;
type ReadQuery = z.infer<typeof secretReadQuery>;

const deleteQuery = z.strictObject({
  uid: z.string().describe("only if it is still this very object").optional(),
  resourceVersion: z.string().describe("only if it has not been changed since").optional(),
});

const status: ApiSchema = { name: "Status", schema: statusSchema };

function routesOf(
  { apiVersion, kind, schema }: KnownKind,
  { plural, isNamespaced, apiVersions }: KindName,
  { store, clock, log }: KindRouteParts,
): readonly ApiRoute[] {
  const isFirstVersion = apiVersions[0] === apiVersion;
  const id = isFirstVersion ? kind : `${kind}${apiVersion.split("/").at(-1) ?? ""}`;
  const all = `${versionPath(apiVersion)}/${plural}`;
  const within = isNamespaced ? `${versionPath(apiVersion)}/namespaces/{namespace}/${plural}` : all;
  const one = `${within}/{name}`;
  const object: ApiSchema = { name: id, schema };
  const list: ApiSchema = {
    name: `${id}List`,
    schema: z.object({
      apiVersion: z.literal(apiVersion),
      kind: z.literal(`${kind}List`),
      metadata: z.object({ resourceVersion: z.string() }),
      items: z.array(schema),
    }),
  };
  const isSecret = kind === "Secret";
  const present = (
    resource: Resource,
    isRevealed: boolean | undefined,
  ): Readonly<Record<string, unknown>> => {
    const manifest = toManifest(resource);
    if (isRevealed !== true) return redactManifest(manifest);
    // A warning: at the level that the control plane has by default, nobody could find out afterwards who asked.
    log.warn("the values of a Secret were shown", { resource: formatKey(keyOf(resource)) });
    return manifest;
  };

  const listRoute = (path: string, routeId: string, summary: string): ApiRoute =>
    defineRoute<ListQuery>({
      method: "GET",
      path,
      id: routeId,
      summary,
      query: isSecret ? secretListQuery : listQuery,
      answer: list,
      lines: watchEvent,
      handle({ params: { namespace }, query }) {
        const isWanted = filterOf(query);
        const show = (resource: Resource) => present(resource, query.reveal);
        if (query.watch === true) {
          const hasBookmark = query.allowWatchBookmarks === true;
          return watchResources({ store, apiVersion, kind, namespace, isWanted, present: show, hasBookmark });
        }
        const filter = { kind, ...(namespace === undefined ? {} : { namespace }) };
        return Response.json({
          apiVersion,
          kind: `${kind}List`,
          metadata: { resourceVersion: store.version },
          items: store.list(filter).filter(isWanted).map(show),
        });
      },
    });

  return [
    ...(isNamespaced ? [listRoute(all, `listAll${id}s`, `The ${plural} of all namespaces`)] : []),
    listRoute(within, `list${id}s`, isNamespaced ? `The ${plural} of a namespace` : `All ${plural}`),
    defineRoute<ReadQuery>({
      method: "GET",
      path: one,
      id: `read${id}`,
      summary: `A ${kind}`,
      ...(isSecret ? { query: secretReadQuery } : {}),
      answer: object,
      handle: ({ params: { namespace = "", name = "" }, query }) =>
        Response.json(present(store.require({ kind, namespace, name }), query.reveal)),
    }),
    defineRoute<Readonly<Record<string, never>>, Readonly<Record<string, unknown>>>({
      method: "POST",
      path: within,
      id: `create${id}`,
      summary: `Make a ${kind}`,
      // Admission looks at the fields, and says more of them than a schema can.
      body: { name: id, schema: objectForm, documented: schema },
      status: 201,
      answer: object,
      handle: ({ params: { namespace = "" }, body }) =>
        written(createObject({ store, manifest: body, kind, namespace, now: clock.now() }), 201),
    }),
    defineRoute<Readonly<Record<string, never>>, Readonly<Record<string, unknown>>>({
      method: "PUT",
      path: one,
      id: `replace${id}`,
      summary: `Replace what is said of a ${kind}`,
      description: "With metadata.resourceVersion only if it has not been changed since. The status stays.",
      body: { name: id, schema: objectForm, documented: schema },
      answer: object,
      handle: ({ params: { namespace = "", name = "" }, body }) =>
        written(replaceObject({ store, manifest: body, kind, namespace, name, now: clock.now() }), 200),
    }),
    defineRoute<z.infer<typeof deleteQuery>>({
      method: "DELETE",
      path: one,
      id: `delete${id}`,
      summary: `Delete a ${kind}, and what only it owns`,
      description: "202 when it is only marked: it goes when its finalizers are taken away.",
      query: deleteQuery,
      answer: status,
      handle: ({ params: { namespace = "", name = "" }, query }) =>
        deleteObject(store, { kind, namespace, name }, query),
    }),
  ];
}

function filterOf({ labelSelector, fieldSelector }: ListQuery): ResourceFilter {
  const filters = [
    ...(labelSelector === undefined ? [] : [parseLabelSelector(labelSelector)]),
    ...(fieldSelector === undefined ? [] : [parseFieldSelector(fieldSelector)]),
  ];
  return (resource) => filters.every((isWanted) => isWanted(resource));
}

/** Findings go along as Kubernetes sends the warnings of its webhooks. */
function written({ resource, findings }: Written, httpStatus: number): Response {
  const headers = new Headers();
  for (const { severity, message } of findings) {
    if (severity === "info") continue;
    const text = message.replaceAll(/[^\x20-\x7e]/g, "?").replaceAll(/["\\]/g, "'");
    headers.append("warning", `299 - "${text}"`);
  }
  return Response.json(redactManifest(toManifest(resource)), { status: httpStatus, headers });
}

function deleteObject(
  store: ResourceStore,
  key: ResourceKey,
  { uid, resourceVersion }: z.infer<typeof deleteQuery>,
): Response {
  const resource = store.require(key);
  const outcome = store.delete(key, {
    ...(uid === undefined ? {} : { ifUid: uid }),
    ...(resourceVersion === undefined ? {} : { ifVersion: resourceVersion }),
  });
  const details = { kind: key.kind, name: key.name, uid: resource.metadata.uid };
  if (outcome !== "marked") return successStatus(details);
  const message = `marked; it goes when its finalizers are done: ${resource.metadata.finalizers.join(", ")}`;
  return successStatus(details, { status: 202, message });
}
