import { z } from "zod";
import { errorCodes, type ErrorCode } from "../common/error-codes.ts";
import { describeError, EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";

/**
 * Answers for what went wrong, and for what has no other answer: Kubernetes' Status (API conventions, "Response Status
 * Kind"), with our error code and hint beside it.
 */
export const statusSchema = z.object({
  apiVersion: z.literal("v1"),
  kind: z.literal("Status"),
  metadata: z.object({}),
  status: z.enum(["Success", "Failure"]),
  message: z.string().optional(),
  /** Kubernetes' word for it: `NotFound`, `Conflict`, `Invalid`, … */
  reason: z.string().optional(),
  /** The HTTP status. */
  code: z.number().int(),
  details: z
    .object({
      kind: z.string().optional(),
      name: z.string().optional(),
      uid: z.string().optional(),
      causes: z
        .array(z.object({ reason: z.string(), message: z.string(), field: z.string().optional() }))
        .optional(),
    })
    .optional(),
  /** docs/reference/error-codes.md lists the codes. */
  tidemark: z
    .object({
      code: z.string(),
      hint: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
});
export type ApiStatus = z.infer<typeof statusSchema>;

interface HttpMeaning {
  readonly status: number;
  readonly reason: string;
}

const meanings: Partial<Record<ErrorCode, HttpMeaning>> = {
  usage: { status: 400, reason: "BadRequest" },
  manifest: { status: 422, reason: "Invalid" },
  "resource-missing": { status: 404, reason: "NotFound" },
  "resource-exists": { status: 409, reason: "AlreadyExists" },
  "resource-conflict": { status: 409, reason: "Conflict" },
  locked: { status: 409, reason: "Conflict" },
};

function meaningOf({ code, retryable }: EngineError): HttpMeaning {
  const known = meanings[code];
  if (known !== undefined) return known;
  if (retryable) return { status: 503, reason: "ServiceUnavailable" };
  return errorCodes[code].owner === "operator"
    ? { status: 422, reason: "Invalid" }
    : { status: 500, reason: "InternalError" };
}

/** The answer for what a request threw. A bug is logged, and its words stay here: they could hold anything. */
export function errorResponse(
  error: unknown,
  { log, request }: { readonly log: Log; readonly request: Request },
): Response {
  if (error instanceof EngineError && error.code !== "internal") return failure(error, meaningOf(error));
  log.error("a request failed", {
    method: request.method,
    path: new URL(request.url).pathname,
    error: describeError(error),
  });
  const hidden = new EngineError("internal", "internal error", {
    hint: "The control plane's log says more.",
  });
  return failure(hidden, { status: 500, reason: "InternalError" });
}

/** A refusal that has an HTTP status of its own. */
export function refusal(status: number, reason: string, message: string, hint?: string): Response {
  return failure(new EngineError("usage", message, hint === undefined ? {} : { hint }), { status, reason });
}

function failure(error: EngineError, { status, reason }: HttpMeaning): Response {
  const { code, hint, details } = error;
  const causes = causesOf(details["findings"]);
  const body: ApiStatus = {
    apiVersion: "v1",
    kind: "Status",
    metadata: {},
    status: "Failure",
    message: describeError(error),
    reason,
    code: status,
    ...(causes.length === 0 ? {} : { details: { causes } }),
    tidemark: {
      code,
      ...(hint === undefined ? {} : { hint }),
      ...(Object.keys(details).length === 0 ? {} : { details }),
    },
  };
  return Response.json(body, { status });
}

const findingShape = z.array(z.object({ rule: z.string(), message: z.string(), field: z.string() }));

function causesOf(findings: unknown): { reason: string; message: string; field: string }[] {
  const parsed = findingShape.safeParse(findings);
  return parsed.success
    ? parsed.data.map(({ rule, message, field }) => ({ reason: rule, message, field }))
    : [];
}

/** What is answered when something was done and there is nothing to show. */
export function successStatus(
  details: NonNullable<ApiStatus["details"]>,
  { status = 200, message }: { readonly status?: number; readonly message?: string } = {},
): Response {
  const body: ApiStatus = {
    apiVersion: "v1",
    kind: "Status",
    metadata: {},
    status: "Success",
    ...(message === undefined ? {} : { message }),
    code: status,
    details,
  };
  return Response.json(body, { status });
}
