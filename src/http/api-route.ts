import { z } from "zod";

/** A form of JSON with the name that the OpenAPI document gives it. */
export interface ApiSchema<Value = unknown> {
  readonly name: string;
  readonly schema: z.ZodType<Value>;
}

/** A request whose parts have been read and found right. */
export interface ApiRequest<Query = unknown, Body = unknown> {
  /** The parts of the address that are in braces. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Fires when the client goes away before it has its answer. */
  readonly signal: AbortSignal;
}

/**
 * One thing that can be asked of the control plane. The same table makes the server and its OpenAPI document. Errors are
 * thrown: `error-status.ts` makes answers of them.
 */
export interface ApiRoute<Query = unknown, Body = unknown> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** `/tidemark/v1/clusters/{namespace}/{name}/promotion`. */
  readonly path: string;
  /** Its name in the OpenAPI document: one word in camel case, unique. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** Of an object of texts; undefined allows no parameters. */
  readonly query?: z.ZodType<Query>;
  /** Undefined takes no body. Where somebody else looks closer than the schema does, that is `documented`. */
  readonly body?: ApiSchema<Body> & { readonly documented?: z.ZodType };
  readonly answer: ApiSchema;
  /** The status of an answer, 200 when left out. */
  readonly status?: number;
  /** What a line of the answer is when it is newline-delimited JSON that goes on. */
  readonly lines?: ApiSchema;
  handle(request: ApiRequest<Query, Body>): Response | Promise<Response>;
}

/** A route with the types of its parts. */
export function defineRoute<Query = Readonly<Record<string, never>>, Body = undefined>(
  route: ApiRoute<Query, Body>,
): ApiRoute {
  return route;
}

/** A parameter that is there or not: `?watch`, `?watch=true`, `?watch=1`. */
export const flag = z
  .enum(["true", "false", "1", "0", ""])
  .transform((text) => text !== "false" && text !== "0")
  .optional();

/** Lines of an answer that goes on. */
export const lineMediaType = "application/x-ndjson";
