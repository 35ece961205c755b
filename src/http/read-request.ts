import type { z } from "zod";
import { EngineError } from "../common/errors.ts";
import { formatBytes, mib } from "../common/units.ts";
import type { ApiRoute } from "./api-route.ts";

/** More than all the manifests of a machine; a client that sends more is not one of ours. */
export const largestBodyBytes = 16 * mib;

/** The query of a request, as the route's schema has it. Throws `usage` and names what is not understood. */
export function readQuery(route: ApiRoute, url: URL): unknown {
  const names = [...url.searchParams.keys()];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new EngineError("usage", `the parameter "${twice}" is given twice`);
  if (route.query === undefined) {
    const [first] = names;
    if (first === undefined) return {};
    throw new EngineError("usage", `there is no parameter "${first}" here`);
  }
  return parsed(route.query, Object.fromEntries(url.searchParams), "parameter");
}

/** The body of a request. Throws `usage` for one that is too long, no JSON, or of another form. */
export async function readBody(route: ApiRoute, request: Request): Promise<unknown> {
  if (route.body === undefined) return undefined;
  const text = await readText(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says would quote the text, which may hold a password.
    throw new EngineError("usage", "the request's body is no JSON");
  }
  return parsed(route.body.schema, value, "field");
}

async function readText(request: Request): Promise<string> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > largestBodyBytes) throw tooLong();
  if (request.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > largestBodyBytes) throw tooLong();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLong(): EngineError {
  return new EngineError("usage", `the request's body is longer than ${formatBytes(largestBodyBytes)}`);
}

/** Says where and what, never with the value. */
function parsed(schema: z.ZodType, value: unknown, what: "parameter" | "field"): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw new EngineError("usage", `there is no ${what} "${issue.keys.join('", "')}" here`);
  }
  throw new EngineError(
    "usage",
    `${what} "${issue?.path.join(".") ?? ""}": ${issue?.message ?? "not valid"}`,
  );
}
