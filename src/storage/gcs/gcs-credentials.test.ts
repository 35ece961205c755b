import { generateKeyPairSync } from "node:crypto";
import { chmod, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Clock } from "../../common/clock.ts";
import { isEngineError, type EngineError } from "../../common/errors.ts";
import type { GcsStandIn } from "../testing/gcs-stand-in.ts";
import { openOnStandIn } from "./testing/open-on-stand-in.ts";
import { openStoreAgents } from "../network/store-agents.ts";
import { openAuthorization } from "./gcs-authorization.ts";
import { openGcsStore } from "./gcs-store.ts";

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark-google-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

/** Written as secret stores do: whole, by a rename. */
async function writeSecretFile(path: string, content: unknown, mode = 0o600): Promise<string> {
  await writeFile(`${path}.new`, typeof content === "string" ? content : JSON.stringify(content), { mode });
  await rename(`${path}.new`, path);
  return path;
}

/** What `gcloud iam workload-identity-pools create-cred-config` writes: somebody else's token is exchanged for Google's. */
async function federation(standIn: GcsStandIn): Promise<object> {
  const subject = await writeSecretFile(join(await temporaryFolder(), "subject"), "geheim-subject");
  return {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `${standIn.url}/token`,
    credential_source: { file: subject },
  };
}

/** A key as Google gives it, of a universe without a token endpoint: such a key signs its tokens itself. */
function serviceAccountKey(privateKey?: string): object {
  const made = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  return {
    type: "service_account",
    project_id: "tests",
    private_key_id: "1",
    private_key: privateKey ?? made.export({ type: "pkcs8", format: "pem" }),
    client_email: "tide@tests.iam.gserviceaccount.com",
    universe_domain: "example.com",
  };
}

function environment(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

function steppedClock(): Clock & { pass(ms: number): void } {
  let passedMs = 0;
  return {
    now: () => new Date(Date.now() + passedMs),
    monotonicMs: () => passedMs,
    sleep: async () => undefined,
    pass: (ms) => {
      passedMs += ms;
    },
  };
}

/** How a call failed, with everything that an inspection of the error shows. */
async function failure(
  call: Promise<unknown>,
): Promise<{ readonly error: EngineError; readonly text: string }> {
  const error = await call.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!isEngineError(error)) throw error;
  return { error, text: inspect(error, { depth: 10, showHidden: true }) };
}

const bearers = ({ requests }: GcsStandIn): (string | undefined)[] =>
  requests.filter(({ path }) => path.startsWith("/storage/")).map(({ headers }) => headers.authorization);

describe("who asks Google's storage", () => {
  test("is whom the credentials file names, in the person of a short-lived token that is asked for once", async () => {
    const { standIn } = await openOnStandIn();
    const credentialsFile = await writeSecretFile(
      join(await temporaryFolder(), "key.json"),
      await federation(standIn),
    );
    const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, credentialsFile });
    standIn.tokens = new Set(["token-1"]);

    await store.put("one", [Buffer.from("1")]);
    expect(await store.head("one")).toMatchObject({ sizeBytes: 1 });

    expect(bearers(standIn)).toEqual(["Bearer token-1"]);
    expect(standIn.requests.filter(({ path }) => path === "/token")).toHaveLength(1);
    await store.close();
  });

  test("is a service account by its key", async () => {
    const { standIn } = await openOnStandIn();
    const credentialsFile = await writeSecretFile(
      join(await temporaryFolder(), "key.json"),
      serviceAccountKey(),
    );
    const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, credentialsFile });

    await store.head("one");

    expect(bearers(standIn)[0]).toMatch(/^Bearer ey[\w-]+\.[\w-]+\.[\w-]+$/);
    await store.close();
  });

  test("is another one when the file has changed, without the store being opened again", async () => {
    const { standIn } = await openOnStandIn();
    const path = join(await temporaryFolder(), "key.json");
    await writeSecretFile(path, await federation(standIn));
    const clock = steppedClock();
    const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, credentialsFile: path, clock });
    await store.put("one", [Buffer.from("1")]);
    standIn.token = () => ({ status: 200, body: { access_token: "token-2", expires_in: 3600 } });
    await store.head("one");

    await writeSecretFile(path, { ...(await federation(standIn)), quota_project_id: "other" });
    clock.pass(1000);
    await store.head("one");

    expect(bearers(standIn)).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(standIn.requests.at(-1)?.headers["x-goog-user-project"]).toBe("other");
    await store.close();
  });

  test("gets a new token when the store does not accept the one at hand", async () => {
    const { standIn } = await openOnStandIn();
    const credentialsFile = await writeSecretFile(
      join(await temporaryFolder(), "key.json"),
      await federation(standIn),
    );
    const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, credentialsFile });
    standIn.tokens = new Set(["token-2"]);

    await expect(store.head("one")).rejects.toMatchObject({ code: "store-denied" });
    standIn.token = () => ({ status: 200, body: { access_token: "token-2", expires_in: 3600 } });

    expect(await store.head("one")).toBeUndefined();
    await store.close();
  });

  test("is the account that is attached to the machine, as with workload identity", async () => {
    const { standIn } = await openOnStandIn();
    const home = await temporaryFolder();
    environment({
      HOME: home,
      CLOUDSDK_CONFIG: undefined,
      GOOGLE_APPLICATION_CREDENTIALS: undefined,
      GCE_METADATA_HOST: new URL(standIn.url).host,
      METADATA_SERVER_DETECTION: "assume-present",
    });
    const agents = await openStoreAgents({});
    onTestFinished(() => agents.http.destroy());

    const authorization = await openAuthorization({
      endpoint: { url: "https://storage.googleapis.com", given: undefined, isEmulator: false },
      agents,
      credentialsFile: undefined,
      environment: process.env,
      clock: steppedClock(),
    });

    expect(await authorization.headers(undefined)).toMatchObject({ authorization: "Bearer token-1" });
  });

  test("is nobody at an emulator, which STORAGE_EMULATOR_HOST names", async () => {
    const { standIn } = await openOnStandIn();
    environment({ STORAGE_EMULATOR_HOST: new URL(standIn.url).host });
    const store = await openGcsStore({ bucket: "b" });

    await store.head("one");

    expect(bearers(standIn)).toEqual([undefined, undefined]);
    await store.close();
  });

  test("does not show a token to whoever listens: plain HTTP gets none, but on this machine", async () => {
    const { standIn } = await openOnStandIn();
    const credentialsFile = await writeSecretFile(
      join(await temporaryFolder(), "key.json"),
      await federation(standIn),
    );

    await expect(
      openGcsStore({ bucket: "b", endpoint: "http://storage.example.com", credentialsFile }),
    ).rejects.toMatchObject({
      code: "config",
      message: `the credentials of "${credentialsFile}" are not sent to http://storage.example.com: others could read them on their way`,
    });
  });
});

describe("credentials that do not work", () => {
  test.each([
    [400, { error: "invalid_grant", error_description: "Invalid JWT Signature." }, "store-denied", false],
    [403, { error: "unauthorized_client" }, "store-denied", false],
    [503, { error: "unavailable" }, "store-unavailable", true],
    [400, { error: "invalid_grant", error_description: `geheim ${"x".repeat(60)}` }, "store-denied", false],
  ])("are told as the token endpoint says: %i %o", async (status, body, code, retryable) => {
    const { standIn } = await openOnStandIn();
    const path = join(await temporaryFolder(), "key.json");
    const credentialsFile = await writeSecretFile(path, await federation(standIn));
    const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, credentialsFile });
    standIn.token = () => ({ status, body });

    const { error, text } = await failure(store.head("one"));

    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toMatch(/^could not get a token for Google's storage: .* \(\d+\)$/);
    expect(text).not.toContain("geheim");
    await store.close();
  });

  test("that have a broken key are refused without a byte of it", async () => {
    const { standIn } = await openOnStandIn();
    const broken = "-----BEGIN PRIVATE KEY-----\ngeheimgeheimgeheim\n-----END PRIVATE KEY-----\n";
    const credentialsFile = await writeSecretFile(
      join(await temporaryFolder(), "key.json"),
      serviceAccountKey(broken),
    );
    const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, credentialsFile });

    const { error, text } = await failure(store.put("one", [Buffer.from("1")]));

    expect(error).toMatchObject({
      code: "config",
      message: expect.stringMatching(
        /^the private key of the Google credentials cannot be used \(ERR_/,
      ) as string,
      hint: "Take the key file as Google gave it, with its line breaks (\\n) in private_key.",
    });
    expect(text).not.toMatch(/geheim|PRIVATE KEY/);
    await store.close();
  });

  test.each([
    ["no JSON", "geheim"],
    ["half of it", '{"type": "service_account", "private_key": "geheim'],
    ["another kind", { type: "geheim" }],
    ["no key", { type: "service_account", client_email: "x", note: "geheim" }],
    ["an empty key", { type: "service_account", client_email: "geheim", private_key: "" }],
  ])("in a file with %s are refused, and nothing of it is shown", async (_what, content) => {
    const path = await writeSecretFile(join(await temporaryFolder(), "key.json"), content);
    environment({ GOOGLE_APPLICATION_CREDENTIALS: path });

    const named = await failure(openGcsStore({ bucket: "b", credentialsFile: path }));
    const usual = await failure(openGcsStore({ bucket: "b" }));

    for (const { error, text } of [named, usual]) {
      expect(error).toMatchObject({
        code: "config",
        message: `the credentials file "${path}" does not hold credentials`,
        hint: "It is the JSON file that Google gave: a service account's key, or the configuration of a workload identity federation.",
      });
      expect(text).not.toContain("geheim");
    }
  });

  test("in a file that others can read are refused, unless Google's own variable names it", async () => {
    const path = await writeSecretFile(join(await temporaryFolder(), "key.json"), serviceAccountKey());
    await chmod(path, 0o644);
    environment({ GOOGLE_APPLICATION_CREDENTIALS: path });

    await expect(openGcsStore({ bucket: "b", credentialsFile: path })).rejects.toThrow(/has mode 644/);
    await (await openGcsStore({ bucket: "b" })).close();
  });

  test("and are nowhere are named, with all places where they may be", async () => {
    environment({
      HOME: await temporaryFolder(),
      CLOUDSDK_CONFIG: undefined,
      GOOGLE_APPLICATION_CREDENTIALS: undefined,
      METADATA_SERVER_DETECTION: "none",
    });
    const store = await openGcsStore({ bucket: "b" });

    await expect(store.head("one")).rejects.toMatchObject({
      code: "store-denied",
      message: "could not get a token for Google's storage: there are no usable credentials",
      hint: expect.stringContaining("gcloud auth application-default login") as string,
    });
    await store.close();
  });
});
