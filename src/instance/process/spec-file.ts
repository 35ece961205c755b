import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { describeError, EngineError, systemErrorCode } from "../../common/errors.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import { instanceSpecSchema, type InstanceSpec } from "../instance-spec.ts";

/** Reads `instance.json`. Throws `config`, with every problem and its place, when it is missing or damaged. */
export async function readInstanceSpec(folder: InstanceFolder): Promise<InstanceSpec> {
  return readSpecFile(folder.spec, instanceSpecSchema, {
    missing: `"${folder.root}" is not the folder of an instance: it has no "instance.json"`,
    hint: "Name the folder of an instance; the control plane makes them.",
  });
}

/** The same from its text; `path` is for messages. */
export function parseInstanceSpec(text: string, path: string): InstanceSpec {
  return parseSpec(text, path, instanceSpecSchema);
}

/** Reads the specification of a process. Throws `config`: `absent` when there is none, else with every problem and its place. */
export async function readSpecFile<Spec>(
  path: string,
  schema: z.ZodType<Spec>,
  absent: { readonly missing: string; readonly hint: string },
): Promise<Spec> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    if (systemErrorCode(cause) !== "ENOENT") throw damaged(path, describeError(cause), cause);
    throw new EngineError("config", absent.missing, { cause, hint: absent.hint });
  });
  return parseSpec(text, path, schema);
}

function parseSpec<Spec>(text: string, path: string, schema: z.ZodType<Spec>): Spec {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The parser's own words quote the text around the mistake.
    throw damaged(path, "it is not JSON", cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw damaged(path, result.error.issues.map(describeIssue).join("; "));
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

function damaged(path: string, reason: string, cause?: unknown): EngineError {
  return new EngineError("config", `could not read "${path}": ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "The control plane writes this file; one that is damaged is replaced when its object is applied again.",
  });
}
