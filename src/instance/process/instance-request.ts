import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import type { InstanceRequest } from "../instance-status.ts";

const requestSchema: z.ZodType<InstanceRequest> = z.discriminatedUnion("op", [
  z.object({ op: z.literal("status") }),
  z.object({ op: z.literal("configure") }),
  z.object({ op: z.literal("backup"), id: z.string(), name: z.string().exactOptional() }),
  z.object({ op: z.literal("cancel-backup"), id: z.string() }),
  z.object({ op: z.literal("forget-backup"), id: z.string() }),
  z.object({ op: z.literal("rescue"), key: z.string(), dataDirectory: z.string() }),
  z.object({ op: z.literal("promote") }),
  z.object({ op: z.literal("restart") }),
  z.object({ op: z.literal("stop"), mode: z.enum(["smart", "fast", "immediate"]) }),
]);

/** Reads what came over the socket. Throws `usage` for anything that is no request. */
export function parseInstanceRequest(value: unknown): InstanceRequest {
  const result = requestSchema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw new EngineError("usage", `this is no request to an instance: ${problems.join("; ")}`);
}
