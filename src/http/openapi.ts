import { z } from "zod";
import { assert } from "../common/errors.ts";
import { tidemarkVersion } from "../common/version.ts";
import { lineMediaType, type ApiRoute, type ApiSchema } from "./api-route.ts";
import { statusSchema } from "./error-status.ts";

type Json = Readonly<Record<string, unknown>>;

const statusName = "Status";

/** The OpenAPI 3.1 document of a table of routes. Its schemas are those by which requests are read. */
export function openApiDocument(routes: readonly ApiRoute[]): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Tidemark",
      version: tidemarkVersion,
      description:
        "The control plane's API, on its Unix socket and, where it was asked for, on a loopback port with a bearer token.",
    },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: componentsOf(routes),
    },
  };
}

function operationOf(route: ApiRoute): Json {
  const { id, summary, description, body, answer, status = 200, lines } = route;
  const parameters = [...pathParameters(route), ...queryParameters(route)];
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: reference(body) } } } }),
    responses: {
      [status]: {
        description: "Done",
        content: {
          "application/json": { schema: reference(answer) },
          ...(lines === undefined ? {} : { [lineMediaType]: { schema: reference(lines) } }),
        },
      },
      default: {
        description: "Refused, or failed",
        content: { "application/json": { schema: { $ref: refOf(statusName) } } },
      },
    },
  };
}

function pathParameters({ path }: ApiRoute): readonly Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters({ query }: ApiRoute): readonly Json[] {
  if (query === undefined) return [];
  const { properties = {} } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = typeof property === "object" ? property : {};
    return { name, in: "query", ...(description === undefined ? {} : { description }), schema };
  });
}

/** Forms refer to each other by name: a list to its items. Two of one name must be one. */
function componentsOf(routes: readonly ApiRoute[]): Json {
  const registry = z.registry<{ id: string }>();
  const names = new Map<string, z.ZodType>([[statusName, statusSchema]]);
  for (const { answer, lines, body } of routes) {
    const used: { name: string; schema: z.ZodType }[] = [answer, ...(lines === undefined ? [] : [lines])];
    if (body !== undefined) used.push({ name: body.name, schema: body.documented ?? body.schema });
    for (const { name, schema } of used) {
      const known = names.get(name) ?? schema;
      assert(known === schema, `the schemas called "${name}" are one`);
      names.set(name, schema);
    }
  }
  for (const [id, schema] of names) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io: "input", uri: refOf });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutHead(schema)]));
}

/** Said once for the whole document. */
function withoutHead(schema: object): Json {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== "$schema" && name !== "$id"));
}

const refOf = (name: string): string => `#/components/schemas/${name}`;

const reference = ({ name }: ApiSchema): Json => ({ $ref: refOf(name) });
