/** Credentials that somebody else gives for a time: stand-ins on loopback for AWS' token, metadata and container services. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { describeError, isEngineError } from "../../common/errors.ts";
import type { ObjectStore } from "../object-store.ts";
import { openS3Store, type S3StoreOptions } from "./s3-store.ts";
import { startScripted, type Answer, type ScriptedRequest } from "./testing/scripted-s3.ts";

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark-roles-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

/** Nothing of this machine's own: as in a fresh container. */
async function freshEnvironment(given: Readonly<Record<string, string>>): Promise<string> {
  const home = await temporaryFolder();
  for (const name of Object.keys(process.env).filter((name) => name.startsWith("AWS_")))
    vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries({ HOME: home, AWS_REGION: "eu-central-1", ...given }))
    vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  return home;
}

/** A store that only keeps who asked; and the way to it without credentials of its own. */
async function openRecording(
  options: Partial<S3StoreOptions> = {},
): Promise<{ store: ObjectStore; seen: (string | undefined)[] }> {
  const seen: (string | undefined)[] = [];
  const port = await startScripted(({ headers }) => {
    const key = /Credential=([^/]+)\//.exec(headers.authorization ?? "")?.[1];
    const token = headers["x-amz-security-token"];
    seen.push(token === undefined ? key : `${key} with ${String(token)}`);
    return { headers: { etag: '"e"' } };
  });
  const store = await openS3Store({ bucket: "b", endpoint: `http://127.0.0.1:${port}`, ...options });
  onTestFinished(async () => store.close());
  return { store, seen };
}

/** Each time other keys, which expire so soon that the next request asks anew. */
function rotating(form: (keys: { id: string; secret: string; token: string; expires: string }) => Answer) {
  let count = 0;
  return (): Answer => {
    count++;
    const expires = new Date(Date.now() + 60_000).toISOString();
    return form({ id: `AK${count}`, secret: `geheim-${count}`, token: `token-${count}`, expires });
  };
}

const stsAnswer = () =>
  rotating(({ id, secret, token, expires }) => ({
    body: `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey><SessionToken>${token}</SessionToken><Expiration>${expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
  }));

const jsonAnswer = () =>
  rotating(({ id, secret, token, expires }) => ({
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      Code: "Success",
      AccessKeyId: id,
      SecretAccessKey: secret,
      Token: token,
      Expiration: expires,
    }),
  }));

/** Writes until other keys are used: the SDK may use up those that it has while it asks for new ones. */
async function putUntilRenewed(
  store: ObjectStore,
  seen: readonly (string | undefined)[],
): Promise<ReadonlySet<string | undefined>> {
  for (let count = 0; count < 50 && new Set(seen).size < 2; count++) {
    await store.put("one", [Buffer.from("1")]);
  }
  expect(seen.every((who) => /^AK(\d+) with token-\1$/.test(who ?? ""))).toBe(true);
  return new Set(seen);
}

const role = "arn:aws:iam::111122223333:role/backup";

describe("a web identity", () => {
  test("of the settings is exchanged for keys, and again before they expire, with the token that is there then", async () => {
    await freshEnvironment({});
    const tokenFile = join(await temporaryFolder(), "token");
    await writeFile(tokenFile, "jwt-1\n");
    const asked: (string | null)[][] = [];
    const answer = stsAnswer();
    const port = await startScripted(({ body }) => {
      const form = new URLSearchParams(body);
      asked.push(["Action", "RoleArn", "RoleSessionName", "WebIdentityToken"].map((name) => form.get(name)));
      return answer();
    });
    const endpoint = `http://127.0.0.1:${port}`;
    const { store, seen } = await openRecording({ webIdentity: { roleArn: role, tokenFile, endpoint } });

    await store.put("one", [Buffer.from("1")]);
    await writeFile(tokenFile, "jwt-2\n");
    expect((await putUntilRenewed(store, seen)).size).toBe(2);

    expect(asked.at(0)).toEqual(["AssumeRoleWithWebIdentity", role, "tidemark", "jwt-1"]);
    expect(asked.at(-1)).toEqual(["AssumeRoleWithWebIdentity", role, "tidemark", "jwt-2"]);
  });

  test("of the environment is found by itself, as where Kubernetes sets it", async () => {
    const tokenFile = join(await temporaryFolder(), "token");
    await writeFile(tokenFile, "jwt-1");
    const answer = stsAnswer();
    const port = await startScripted(() => answer());
    await freshEnvironment({
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
      AWS_ROLE_ARN: role,
      AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${port}`,
    });
    const { store, seen } = await openRecording();

    expect((await putUntilRenewed(store, seen)).size).toBe(2);
  });

  test.each([
    [{ status: 403, code: "AccessDenied" }, "store-denied", `refused role "${role}": AccessDenied (403)`],
    [{ status: 400, code: "ExpiredTokenException" }, "store-denied", "ExpiredTokenException (400)"],
    [{ status: 503, code: "ServiceUnavailable" }, "store-unavailable", "ServiceUnavailable (503)"],
    [{ body: "<html>geheim" }, "store-unavailable", "gave no credentials"],
  ] as const)("that is answered with %o is a clear failure without a secret", async (answer, code, words) => {
    await freshEnvironment({});
    const tokenFile = join(await temporaryFolder(), "token");
    await writeFile(tokenFile, "geheim-jwt");
    const port = await startScripted(() => answer);
    const webIdentity = { roleArn: role, tokenFile, endpoint: `http://127.0.0.1:${port}` };
    const { store, seen } = await openRecording({ webIdentity });

    const error = await store.head("x").catch((caught: unknown) => caught);

    if (!isEngineError(error, code)) throw error;
    expect(describeError(error)).toContain(words);
    expect(inspect(error, { depth: 10 })).not.toContain("geheim");
    expect(seen).toEqual([]);
  });

  test("whose token is not there names its file", async () => {
    const { store } = await openRecording({ webIdentity: { roleArn: role, tokenFile: "/nowhere/token" } });

    await expect(store.head("x")).rejects.toMatchObject({
      code: "config",
      message: 'could not read the web identity token file "/nowhere/token"',
    });
  });
});

describe("the role of a machine", () => {
  test("is asked for with a session's token", async () => {
    const answer = jsonAnswer();
    const asked: string[] = [];
    const port = await startScripted(({ method, url, headers }: ScriptedRequest) => {
      asked.push(`${method} ${url} ${String(headers["x-aws-ec2-metadata-token"] ?? "-")}`);
      if (method === "PUT") return { body: "session" };
      return url.endsWith("/security-credentials/") ? { body: "backup" } : answer();
    });
    await freshEnvironment({ AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}` });
    const { store, seen } = await openRecording();

    await store.put("one", [Buffer.from("1")]);

    expect(seen).toEqual(["AK1 with token-1"]);
    expect(asked.slice(0, 3)).toEqual([
      "PUT /latest/api/token -",
      "GET /latest/meta-data/iam/security-credentials/ session",
      "GET /latest/meta-data/iam/security-credentials/backup session",
    ]);
  });

  test("that there is none is said as such", async () => {
    const port = await startScripted(() => ({ status: 404 }));
    await freshEnvironment({ AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}` });
    const { store } = await openRecording();

    await expect(store.head("x")).rejects.toMatchObject({
      code: "store-denied",
      message: "there are no credentials for s3://b: none was found in AWS' usual places",
    });
  });
});

test("the role of a container is asked for with its token file, and again before its keys expire", async () => {
  const answer = jsonAnswer();
  const asked: (string | undefined)[] = [];
  const port = await startScripted(({ headers }) => {
    asked.push(headers.authorization);
    return answer();
  });
  const tokenFile = join(await temporaryFolder(), "token");
  await writeFile(tokenFile, "pod-token");
  await freshEnvironment({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
  });
  const { store, seen } = await openRecording();

  expect((await putUntilRenewed(store, seen)).size).toBe(2);
  expect(asked.length).toBeGreaterThan(1);
  expect(new Set(asked)).toEqual(new Set(["pod-token"]));
});

test("a container's service that answers with something else is a failure that shows nothing of it", async () => {
  const port = await startScripted(() => ({ body: "geheim: no JSON" }));
  await freshEnvironment({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/` });
  const { store } = await openRecording();

  const error = await store.head("x").catch((caught: unknown) => caught);

  expect(error).toMatchObject({
    message: expect.stringContaining("there are no credentials for s3://b") as string,
  });
  expect(inspect(error, { depth: 10 })).not.toContain("geheim");
});

describe("a profile of ~/.aws", () => {
  test("that is named is used, whatever keys the environment has", async () => {
    const folder = await temporaryFolder();
    await writeFile(
      join(folder, "credentials"),
      "[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = a\n[offsite]\naws_access_key_id = AKOFFSITE\naws_secret_access_key = b\n",
    );
    await freshEnvironment({
      AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials"),
      AWS_CONFIG_FILE: join(folder, "config"),
      AWS_ACCESS_KEY_ID: "AKENVIRONMENT",
      AWS_SECRET_ACCESS_KEY: "c",
    });
    const warned = vi.spyOn(console, "warn");
    const named = await openRecording({ awsProfile: "offsite" });
    const usual = await openRecording();

    await named.store.head("x").catch(() => undefined);
    await usual.store.head("x").catch(() => undefined);

    expect([named.seen[0], usual.seen[0]]).toEqual(["AKOFFSITE", "AKENVIRONMENT"]);
    expect(warned).not.toHaveBeenCalled();
  });

  test("that is not there is refused, instead of asking for the role of the machine", async () => {
    const home = await freshEnvironment({});
    const error = await openRecording({ awsProfile: "ofsite" }).catch((caught: unknown) => caught);

    expect(error).toMatchObject({
      code: "config",
      message: `there is no profile "ofsite" in "${join(home, ".aws/credentials")}" or "${join(home, ".aws/config")}"`,
    });
  });
});

test("nothing at all says which places there are", async () => {
  await freshEnvironment({ AWS_EC2_METADATA_DISABLED: "true" });
  const { store } = await openRecording();

  await expect(store.head("x")).rejects.toMatchObject({
    code: "store-denied",
    message: "there are no credentials for s3://b: none was found in AWS' usual places",
    hint: expect.stringContaining("AWS_ACCESS_KEY_ID") as string,
  });
});
