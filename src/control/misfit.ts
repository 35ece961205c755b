import type { z } from "zod";
import { EngineError } from "../common/errors.ts";
import { formatKey, type ResourceKey } from "./resources/resource.ts";

/** An object that no longer fits its schema: kept by an older version, say. */
export function misfit(key: ResourceKey, { issues: [issue] }: z.ZodError): EngineError {
  return new EngineError(
    "manifest",
    `${formatKey(key)} cannot be understood: spec.${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`,
    { hint: "Apply its manifest again; tidemark lint says what is wrong with it." },
  );
}
