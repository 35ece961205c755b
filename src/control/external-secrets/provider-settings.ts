import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { describeError, EngineError } from "../../common/errors.ts";
import { parseGoDuration } from "../../manifest/cron-schedule.ts";
import { positiveDuration } from "../../manifest/kinds/values.ts";
import { CommandProvider } from "./providers/command-provider.ts";
import { DirectoryProvider } from "./providers/directory-provider.ts";
import { EnvironmentProvider } from "./providers/environment-provider.ts";
import type { SecretProvider, SecretProviders } from "./secret-provider.ts";

/**
 * The section `secret-providers` of the control plane's settings: from where on this machine the stores that ExternalSecrets
 * refer to are served. It holds no secrets itself. docs/external-secrets.md has examples.
 */

const program = z.array(z.string().min(1)).min(1, "a program is needed");

const provider = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("directory"),
    /** Relative to the settings file. */
    path: z.string().min(1),
  }),
  z.strictObject({
    kind: z.literal("environment"),
    prefix: z.string().default("TIDEMARK_SECRET_"),
  }),
  z.strictObject({
    kind: z.literal("command"),
    command: program,
    /** The command where no property is asked for. */
    withoutProperty: program.optional(),
    /** Where in the printed JSON the secret is: `data.data`. */
    result: z.string().min(1).optional(),
    take: z.enum(["all", "first-line"]).default("all"),
    absentStatus: z.union([z.number().int(), z.array(z.number().int())]).default([]),
    timeout: positiveDuration.default("30s"),
    /** Added to the control plane's own. Addresses and paths, not secrets. */
    environment: z.record(z.string(), z.string()).default({}),
  }),
]);

export const secretProviderSettings = z
  .strictObject({
    /** By the name of the SecretStore or ClusterSecretStore. */
    stores: z.record(z.string(), provider),
    /** The one of them that serves all other names. */
    default: z.string().optional(),
  })
  .superRefine(({ stores, default: name }, context) => {
    if (name === undefined || Object.hasOwn(stores, name)) return;
    context.addIssue({ code: "custom", path: ["default"], message: `there is no store "${name}"` });
  });

export type SecretProviderSettings = z.infer<typeof secretProviderSettings>;
type ProviderSettings = SecretProviderSettings["stores"][string];

/** Reads the section from a file that holds it. Throws `config` with every problem and its path. */
export async function readSecretProviders(
  path: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<SecretProviders> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new EngineError("config", `could not read the settings "${path}": ${describeError(cause)}`, {
      cause,
    });
  }
  return createSecretProviders(parseSettings(text, path), { directory: dirname(resolve(path)), environment });
}

const file = z.strictObject({ "secret-providers": secretProviderSettings });

function parseSettings(text: string, path: string): SecretProviderSettings {
  let value: unknown;
  try {
    value = parseYaml(text) ?? {};
  } catch {
    // What the parser says quotes the text, which may hold what does not belong there.
    throw new EngineError("config", `"${path}" is not valid YAML`, { hint });
  }
  const result = file.safeParse(value);
  if (result.success) return result.data["secret-providers"];
  const problems = result.error.issues.map(describeIssue);
  throw new EngineError("config", `"${path}" has no valid settings: ${problems.join("; ")}`, { hint });
}

const hint = "docs/external-secrets.md has examples of the section secret-providers.";

function describeIssue(issue: z.core.$ZodIssue): string {
  const place = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  if (issue.code === "unrecognized_keys") return `${place}unknown key "${issue.keys.join('", "')}"`;
  if (issue.code === "invalid_union" && issue.path.at(-1) === "kind") {
    return `${place}expected directory, environment or command`;
  }
  return place + issue.message.replace(/^Invalid (input|option): /, "");
}

export interface SecretProviderContext {
  /** What relative paths are relative to, and where commands run. */
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
}

export function createSecretProviders(
  { stores, default: fallback }: SecretProviderSettings,
  context: SecretProviderContext,
): SecretProviders {
  const byStore = new Map(
    Object.entries(stores).map(([name, settings]) => [name, createProvider(name, settings, context)]),
  );
  return { byStore, fallback: fallback === undefined ? undefined : byStore.get(fallback) };
}

function createProvider(
  name: string,
  settings: ProviderSettings,
  { directory, environment }: SecretProviderContext,
): SecretProvider {
  switch (settings.kind) {
    case "directory":
      return new DirectoryProvider(resolve(directory, settings.path));
    case "environment":
      return new EnvironmentProvider(settings.prefix, environment);
    case "command": {
      const { command, withoutProperty, result, take, absentStatus, timeout } = settings;
      return new CommandProvider({
        name,
        command,
        withoutProperty,
        result,
        firstLineOnly: take === "first-line",
        absentStatuses: [absentStatus].flat(),
        timeoutMs: parseGoDuration(timeout) ?? 30_000,
        directory,
        environment: { ...environment, ...settings.environment },
      });
    }
  }
}
