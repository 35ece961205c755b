import { readFile } from "node:fs/promises";
import { parse as parseYaml, YAMLParseError } from "yaml";
import { z } from "zod";
import { parseArchivePolicy } from "../agent/archive-policy.ts";
import { describeError, EngineError } from "../common/errors.ts";
import { codecNames } from "../codec/codec.ts";
import { byteSize, repositorySettings } from "../repository/repository-settings.ts";

/**
 * The configuration file: YAML, one server. Every value can be given on the command line as well; flags win. Unknown
 * keys are errors, because a misspelt key must not silently do nothing.
 */
const schema = z.strictObject({
  server: z.string().optional(),
  repositories: z.array(repositorySettings).optional(),
  postgres: z
    .strictObject({
      dataDirectory: z.string().optional(),
      binDirectory: z.string().optional(),
      /** `postgres://user@host/database`, or left out: PGHOST, PGPORT, PGUSER, … */
      connection: z.string().optional(),
      primaryConnection: z.string().optional(),
    })
    .optional(),
  wal: z
    .strictObject({
      compression: z.enum(codecNames).optional(),
      level: z.number().int().optional(),
      concurrency: z.number().int().positive().optional(),
      /** Which repositories must have a segment before PostgreSQL is told so. */
      policy: z
        .union([
          z.string().min(1).transform(parseArchivePolicy),
          z.number().int().positive(),
          z.array(z.string()).min(1),
        ])
        .optional(),
    })
    .optional(),
  backup: z
    .strictObject({
      compression: z.enum(codecNames).optional(),
      level: z.number().int().optional(),
      concurrency: z.number().int().positive().optional(),
      maxPartSize: byteSize.optional(),
      /** How many repositories must get a backup for it to succeed; it goes on without others that fail. */
      policy: z.union([z.literal("all"), z.number().int().positive()]).optional(),
      /** What may wait for one repository while others could go on, and for how long, in sum, they wait for it then. */
      maxBehind: byteSize.optional(),
      maxHoldUpSeconds: z.number().int().positive().optional(),
    })
    .optional(),
  restore: z.strictObject({ concurrency: z.number().int().positive().optional() }).optional(),
  spoolDirectory: z.string().optional(),
});

export type Config = z.infer<typeof schema>;

/** Reads a configuration file. Throws `config` with every problem and its path. */
export async function readConfig(path: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new EngineError(
      "config",
      `could not read the configuration file "${path}": ${describeError(cause)}`,
      {
        cause,
        hint: "Give its path with --config, or leave it out and use flags.",
      },
    );
  }
  return parseConfig(text, path);
}

export function parseConfig(text: string, path: string): Config {
  let value: unknown;
  try {
    value = parseYaml(text) ?? {};
  } catch (error) {
    throw new EngineError("config", `"${path}" is not valid YAML: ${yamlProblem(error)}`, {
      hint: "docs/configuration.md has a whole file to compare with.",
    });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(describeIssue);
  throw new EngineError("config", `"${path}" is not a valid configuration: ${problems.join("; ")}`, {
    hint: "The keys and their meaning are in docs/configuration.md.",
  });
}

/** The parser's first line, without the place that it adds behind; the place in front. */
function yamlProblem(error: unknown): string {
  if (!(error instanceof YAMLParseError)) return describeError(error);
  const line = error.linePos?.[0].line ?? 1;
  const problem = error.code === "MULTIPLE_DOCS" ? "a second document begins" : error.message.split("\n")[0];
  return `line ${line}: ${problem?.replace(/ at line \d+, column \d+:?$/, "")}`;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const place = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  if (issue.code === "unrecognized_keys") return `${place}unknown key "${issue.keys.join('", "')}"`;
  // Of a value that may have several forms, what is wrong with the last one says most.
  const inner = issue.code === "invalid_union" ? issue.errors.at(-1)?.[0]?.message : undefined;
  return place + (inner ?? issue.message).replace(/^Invalid (input|option): /, "");
}
