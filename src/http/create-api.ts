import { Hono } from "hono";
import { z } from "zod";
import type { Clock } from "../common/clock.ts";
import { assert } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import { defineRoute, type ApiRoute } from "./api-route.ts";
import { applyRoutes } from "./apply-routes.ts";
import { errorResponse, refusal } from "./error-status.ts";
import { eventRoutes } from "./event-routes.ts";
import { kindRoutes } from "./kind-routes.ts";
import { metaRoutes } from "./meta-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { readBody, readQuery } from "./read-request.ts";

export interface ApiOptions {
  readonly store: ResourceStore;
  readonly log: Log;
  readonly clock: Clock;
  /** What else can be asked: of instances, backups, logs. Each part of the control plane brings its own. */
  readonly routes?: readonly ApiRoute[];
}

/**
 * The control plane's API, as a function from requests to answers. It opens nothing and authenticates nobody: whoever can
 * call it may do everything (`api-server.ts` decides who can).
 */
export function createApi({ store, log, clock, routes = [] }: ApiOptions): Hono {
  const described = [
    ...metaRoutes({ clock }),
    ...kindRoutes({ store, clock, log }),
    ...applyRoutes({ store, clock, log }),
    ...eventRoutes({ store, clock, log }),
    ...routes,
  ];
  const table = [...described, documentRoute(described)];
  const app = new Hono();
  for (const route of table) {
    app.on(route.method, honoPath(route.path), async (context) => {
      const request = context.req.raw;
      const query = readQuery(route, new URL(request.url));
      const body = await readBody(route, request);
      return route.handle({ params: context.req.param(), query, body, signal: request.signal });
    });
  }
  app.notFound((context) =>
    refusal(
      404,
      "NotFound",
      `there is nothing at "${context.req.path}" for ${context.req.method}`,
      "See /openapi.json.",
    ),
  );
  app.onError((error, context) => errorResponse(error, { log, request: context.req.raw }));
  return app;
}

/** The document describes itself too. */
function documentRoute(others: readonly ApiRoute[]): ApiRoute {
  let document: unknown;
  const route: ApiRoute = defineRoute({
    method: "GET",
    path: "/openapi.json",
    id: "readDescription",
    summary: "This document",
    answer: { name: "OpenApiDocument", schema: z.looseObject({ openapi: z.string() }) },
    handle() {
      document ??= openApiDocument([...others, route]);
      return Response.json(document);
    },
  });
  const ids = [...others, route].map(({ id }) => id);
  assert(new Set(ids).size === ids.length, "every route has an id of its own");
  return route;
}

const honoPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ":$1");
