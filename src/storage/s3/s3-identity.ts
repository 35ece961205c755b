/** Where a session's credentials come from, and what is said when they cannot be had. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { EngineError, isEngineError, systemErrorCode } from "../../common/errors.ts";
import type { StoreAgents } from "../network/store-agents.ts";
import { identityOf, S3CredentialsFile, type S3Credentials } from "./s3-credentials.ts";
import { s3ErrorName, s3Status } from "./s3-errors.ts";
import { assumeWebIdentity, type S3WebIdentity } from "./s3-web-identity.ts";

/** One of them, the first that is given; without any, AWS' usual places, asked when first needed. */
export interface S3IdentityOptions {
  readonly credentials?: S3Credentials;
  /** A file of mode 0600 that holds them (`s3-credentials.ts`), read again when it changes. */
  readonly credentialsFile?: string;
  readonly webIdentity?: S3WebIdentity;
  /** Name of a profile in `~/.aws`, where it may mean keys, a role, single sign-on or a program. */
  readonly awsProfile?: string;
}

/**
 * What the SDK is told. Throws `config` for a file that cannot be used and for a profile that is not there.
 */
export async function identitySettings(
  options: S3IdentityOptions,
  region: string | undefined,
  agents: StoreAgents,
): Promise<Pick<S3ClientConfig, "credentials" | "profile">> {
  const { credentials, credentialsFile, webIdentity, awsProfile } = options;
  if (credentials !== undefined) return { credentials: identityOf(credentials) };
  if (credentialsFile !== undefined) {
    const file = await S3CredentialsFile.open(credentialsFile);
    return { credentials: async () => file.identity() };
  }
  if (webIdentity !== undefined) {
    return { credentials: async () => assumeWebIdentity(webIdentity, region, agents) };
  }
  if (awsProfile === undefined) return {};
  await requireProfile(awsProfile, process.env);
  return { profile: awsProfile };
}

/** The SDK goes on to the machine's role where a profile is missing: with a misspelt name that would be somebody else. */
async function requireProfile(name: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const folder = join(homedir(), ".aws");
  const files = [
    environment["AWS_SHARED_CREDENTIALS_FILE"] ?? join(folder, "credentials"),
    environment["AWS_CONFIG_FILE"] ?? join(folder, "config"),
  ];
  for (const path of files) {
    // A file that is not there holds no profile.
    const lines = (await readFile(path, "utf8").catch(() => "")).split("\n");
    const titles = lines.map((line) => /^\s*\[\s*(?:profile\s+)?["']?(.*?)["']?\s*\]/.exec(line)?.[1]);
    if (titles.includes(name)) return;
  }
  throw new EngineError("config", `there is no profile "${name}" in "${files.join('" or "')}"`, {
    hint: "Check the name, and which user's ~/.aws is read: Tidemark runs as the user of PostgreSQL.",
  });
}

/**
 * What a provider of credentials threw, in our words. Its own message is left out where it may quote what it was given:
 * an answer that is no JSON is shown in part by whoever could not read it.
 */
export function credentialsError(error: unknown, url: string): EngineError {
  if (isEngineError(error)) return error;
  const message = `there are no credentials for ${url}`;
  const code = systemErrorCode(error);
  const name = s3ErrorName(error);
  if (code === "ENOENT" || code === "EACCES") {
    return new EngineError("config", `${message}: a file with a token cannot be read (${code})`, {
      hint: "Check AWS_WEB_IDENTITY_TOKEN_FILE and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE.",
    });
  }
  const status = s3Status(error);
  if (status !== undefined && status < 500 && status !== 429) {
    return new EngineError("store-denied", `${message}: the token service answered ${name} (${status})`, {
      hint: "Check that the role can be assumed from here: its trust policy, and that the token has not expired.",
    });
  }
  if (name === "CredentialsProviderError" || name === "TokenProviderError") {
    return new EngineError("store-denied", `${message}: none was found in AWS' usual places`, {
      hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a file (credentialsFile) or a profile (awsProfile), or run where a role is attached.",
    });
  }
  return new EngineError(
    "store-unavailable",
    `${message}: who gives them does not answer (${code ?? (name || "no reason")})`,
    {
      hint: "Check that the token service, or the machine's or container's metadata service, can be reached.",
    },
  );
}
