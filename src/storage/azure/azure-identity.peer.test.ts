/**
 * Signing in without a key. Azurite takes tokens over TLS alone; who would give them out in Azure is a stand-in here, which
 * speaks as the managed identity of an App Service does: the package `@azure/identity` asks it as it would ask that.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { startAzurite, type Azurite } from "../../../test/support/azurite.ts";
import { leftOut, reasonToSkip } from "../../../test/support/peer-programs.ts";
import { readObject } from "../object-body.ts";
import { openAzureStore } from "./azure-store.ts";

const skipped = await reasonToSkip(["openssl"]);
const audience = "https://storage.azure.com";

/** A token as Azurite wants it; it does not check the signature. */
function token(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const nowSeconds = Math.floor(Date.now() / 1000);
  const claims = {
    aud: audience,
    iss: "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
    iat: nowSeconds,
    nbf: nowSeconds - 60,
    exp: nowSeconds + 3600,
  };
  return `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.geheim`;
}

/** The endpoint that an App Service has for its managed identity: what it answers, and what it was asked for. */
async function identityEndpoint() {
  const asked: string[] = [];
  const refusal = { status: 400, body: { statusCode: 400, message: "no identity: geheim" } };
  const endpoint = { asked, answer: refusal as { readonly status: number; readonly body: object } };
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://x");
    asked.push(`${searchParams.get("resource")} ${String(request.headers["x-identity-header"])}`);
    const { status, body } = endpoint.answer;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  vi.stubEnv("IDENTITY_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`);
  vi.stubEnv("IDENTITY_HEADER", "header-secret");
  const stop = () => {
    vi.unstubAllEnvs();
    server.closeAllConnections();
    server.close();
  };
  return Object.assign(endpoint, { stop });
}

describe.skipIf(skipped !== undefined)(`a store without a key${leftOut(skipped)}`, () => {
  let folder: string;
  let azurite: Azurite;
  // One for all tests: the package keeps the first one that it sees, and a token that it got.
  let identity: Awaited<ReturnType<typeof identityEndpoint>>;
  beforeAll(async () => {
    identity = await identityEndpoint();
    folder = await mkdtemp(join(tmpdir(), "tidemark-azure-tls-"));
    const tls = { keyFile: join(folder, "key.pem"), certFile: join(folder, "cert.pem") };
    await promisify(execFile)("openssl", [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ..."-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1".split(" "),
      "-keyout",
      tls.keyFile,
      "-out",
      tls.certFile,
    ]);
    azurite = await startAzurite({ tls });
  });
  afterAll(async () => {
    identity.stop();
    await azurite[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(container: string) {
    const { account, endpoint } = azurite;
    const caFile = join(folder, "cert.pem");
    const store = await openAzureStore({
      account,
      container,
      endpoint,
      caFile,
      identity: "managed-identity",
    });
    onTestFinished(async () => store.close());
    return store;
  }

  test("says that no token was given, and shows nothing of what was", async () => {
    const store = await open("backups");

    const failure = await store.head("key").catch((error: unknown) => error);

    expect(failure).toMatchObject({
      code: "store-denied",
      retryable: false,
      hint: "Set AZURE_STORAGE_CONNECTION_STRING (or AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN), name a credentials file, or run where an identity is: managed identity, workload identity, az login.",
    });
    expect(inspect(failure, { depth: 9 })).not.toContain("header-secret");
  });

  test("is read and written with the token of the managed identity, which is asked for once", async () => {
    const expiresOn = Math.floor(Date.now() / 1000) + 3600;
    const body = { access_token: token(), expires_on: expiresOn, token_type: "Bearer" };
    identity.answer = { status: 200, body };
    identity.asked.length = 0;
    const store = await open(await azurite.freshContainer());

    await store.put("key", [Buffer.from("by identity")], { ifAbsent: true });

    expect(String(await readObject(store, "key", 100))).toBe("by identity");
    expect(identity.asked).toEqual([`${audience} header-secret`]);
  });

  test("is not reached by plain HTTP, over which a token is not sent", async () => {
    const endpoint = azurite.endpoint.replace("https:", "http:");
    const opening = openAzureStore({
      account: azurite.account,
      container: "backups",
      endpoint,
      identity: "default",
    });

    await expect(opening).rejects.toMatchObject({
      code: "config",
      hint: "A token is sent over TLS alone: use https://, or give a key or a connection string.",
    });
  });

  test("an unknown certificate is refused, and the hint names the CA file", async () => {
    const { account, endpoint } = azurite;
    const store = await openAzureStore({ account, container: "c00", endpoint, identity: "managed-identity" });

    await expect(store.head("x")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      hint: "If a private authority signed it, name its certificate as the CA file (caFile, or NODE_EXTRA_CA_CERTS).",
    });
  });
});
