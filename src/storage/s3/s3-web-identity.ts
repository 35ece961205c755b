/**
 * Credentials for a token: a file holds what Kubernetes or another identity provider has signed, and the store's token
 * service (AssumeRoleWithWebIdentity) gives credentials of a role for it, which expire within the hour.
 */
import { readFile } from "node:fs/promises";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { text } from "node:stream/consumers";
import { EngineError, describeError } from "../../common/errors.ts";
import { unreadableFile } from "../../common/closed-file.ts";
import type { StoreAgents } from "../network/store-agents.ts";
import type { S3Identity } from "./s3-credentials.ts";

export interface S3WebIdentity {
  readonly roleArn: string;
  /** Read for every renewal: whoever writes it renews it too. */
  readonly tokenFile: string;
  /** What the role's use is called in the provider's logs. Default `tidemark`. */
  readonly sessionName?: string;
  /** `https://host[:port]` of the token service. Default: `AWS_ENDPOINT_URL_STS`, else AWS' own of the region. */
  readonly endpoint?: string;
}

const timeoutMs = 20_000;

/**
 * Asks for credentials, once. The SDK keeps them until five minutes before they expire, then asks again.
 *
 * @throws EngineError `config` for a token file that cannot be read, `store-denied` when the service refuses,
 * `store-unavailable` when it does not answer. None of them holds the token or an answer.
 */
export async function assumeWebIdentity(
  identity: S3WebIdentity,
  region: string | undefined,
  agents: Pick<StoreAgents, "http" | "https">,
): Promise<S3Identity> {
  const endpoint = identity.endpoint ?? process.env["AWS_ENDPOINT_URL_STS"] ?? awsEndpoint(region);
  const answer = await post(endpoint, agents, {
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: identity.roleArn,
    RoleSessionName: identity.sessionName ?? "tidemark",
    WebIdentityToken: await readToken(identity.tokenFile),
  });
  if (answer.status !== 200) throw refused(identity, endpoint, answer);
  const accessKeyId = element(answer.body, "AccessKeyId");
  const secretAccessKey = element(answer.body, "SecretAccessKey");
  const sessionToken = element(answer.body, "SessionToken");
  const expiration = new Date(element(answer.body, "Expiration") ?? "");
  if (accessKeyId === undefined || secretAccessKey === undefined || Number.isNaN(expiration.getTime())) {
    throw new EngineError("store-unavailable", `the token service at ${endpoint} gave no credentials`, {
      retryable: false,
      hint: "Check that it is a token service (STS): set webIdentity.endpoint.",
    });
  }
  return {
    accessKeyId,
    secretAccessKey,
    expiration,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
}

function awsEndpoint(region: string | undefined): string {
  // Other stores have regions of other names; whoever has no service of its own for tokens takes AWS'.
  if (region === undefined || !/^[a-z]{2,3}(-[a-z]+)+-\d+$/.test(region)) return "https://sts.amazonaws.com";
  return `https://sts.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw unreadableFile(path, "web identity token file", error);
  }
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function post(
  endpoint: string,
  agents: Pick<StoreAgents, "http" | "https">,
  form: Readonly<Record<string, string>>,
): Promise<Answer> {
  const url = new URL(endpoint);
  const isPlain = url.protocol === "http:";
  const body = new URLSearchParams(form).toString();
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const request = (isPlain ? requestPlain : requestTls)(url, {
        method: "POST",
        agent: isPlain ? agents.http : agents.https,
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          "content-length": Buffer.byteLength(body),
        },
        signal: AbortSignal.timeout(timeoutMs),
      });
      request.on("error", reject);
      request.on("response", (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
      });
      request.end(body);
    });
  } catch (cause) {
    throw new EngineError(
      "store-unavailable",
      `the token service at ${endpoint} does not answer: ${describeError(cause)}`,
      {
        cause,
        hint: "Check that it can be reached from here, and webIdentity.endpoint.",
      },
    );
  }
}

function refused(identity: S3WebIdentity, endpoint: string, { status, body }: Answer): EngineError {
  // A word, whatever the answer says besides: it may repeat the token.
  const code = /^[A-Za-z.]{1,60}$/.exec(element(body, "Code") ?? "")?.[0] ?? "no reason";
  const message = `the token service at ${endpoint} refused role "${identity.roleArn}": ${code} (${status})`;
  if (status >= 500 || status === 429) return new EngineError("store-unavailable", message);
  return new EngineError("store-denied", message, {
    hint: code.startsWith("ExpiredToken")
      ? `The token in "${identity.tokenFile}" has expired: see that whoever writes it renews it.`
      : "Check that the role trusts the issuer of the token, its audience and its subject.",
  });
}

function element(xml: string, name: string): string | undefined {
  const content = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return content
    ?.replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}
