import { once } from "node:events";
import { chmod, mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../common/clock.ts";
import { describeError, isEngineError } from "../../common/errors.ts";
import { openStore } from "../open-store.ts";
import { S3CredentialsFile } from "./s3-credentials.ts";

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark-credentials-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

/** Written as secret stores do: whole, by a rename. */
async function writeCredentials(path: string, content: unknown): Promise<void> {
  await writeFile(`${path}.new`, typeof content === "string" ? content : JSON.stringify(content), {
    mode: 0o600,
  });
  await rename(`${path}.new`, path);
}

async function credentialsFile(content: unknown): Promise<string> {
  const path = join(await temporaryFolder(), "credentials.json");
  await writeCredentials(path, content);
  return path;
}

/** Time that passes when the test says so; files are dated by the real one. */
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

const first = { accessKeyId: "AKFIRST", secretAccessKey: "geheim-1" };
const second = { accessKeyId: "AKSECOND", secretAccessKey: "geheim-2", sessionToken: "geheim-token" };

async function refusal(path: string): Promise<{ text: string; message: string; hint: string | undefined }> {
  const error = await S3CredentialsFile.open(path).catch((caught: unknown) => caught);
  if (!isEngineError(error, "config")) throw error;
  return { text: inspect(error), message: error.message, hint: error.hint };
}

describe("a file of S3 credentials", () => {
  test("is read again when it has changed, within a second", async () => {
    const path = await credentialsFile(first);
    const clock = steppedClock();
    const file = await S3CredentialsFile.open(path, clock);

    expect(await file.identity()).toMatchObject(first);
    await writeCredentials(path, second);
    clock.pass(1000);
    expect(await file.identity()).toMatchObject(second);
    clock.pass(1000);
    expect(await file.identity()).toMatchObject(second);
  });

  test("is not looked at for every request", async () => {
    const path = await credentialsFile(first);
    const clock = steppedClock();
    const file = await S3CredentialsFile.open(path, clock);

    await rm(path);
    clock.pass(999);
    expect(await file.identity()).toMatchObject(first);
    clock.pass(1);
    await expect(file.identity()).rejects.toMatchObject({ code: "config" });
  });

  test("that is half written does not end what works, and is refused when it stays so", async () => {
    const path = await credentialsFile(first);
    const clock = steppedClock();
    const file = await S3CredentialsFile.open(path, clock);

    await writeFile(path, '{"accessKeyId": "AKSEC');
    clock.pass(1000);
    expect(await file.identity()).toMatchObject(first);
    const old = new Date(Date.now() - 60_000);
    await utimes(path, old, old);
    clock.pass(1000);
    await expect(file.identity()).rejects.toMatchObject({ code: "config" });
    await writeCredentials(path, second);
    clock.pass(1000);
    expect(await file.identity()).toMatchObject(second);
  });

  test.each([0o640, 0o604, 0o620, 0o644])("is refused with mode %o", async (mode) => {
    const path = await credentialsFile(first);
    await chmod(path, mode);

    const { message, hint, text } = await refusal(path);

    expect(message).toBe(
      `the credentials file "${path}" has mode ${mode.toString(8)}: others than its owner can read it`,
    );
    expect(hint).toBe(
      `Close it to them (chmod 600 ${path}); if others may have read it, change the credentials.`,
    );
    expect(text).not.toContain("geheim");
  });

  test("that was opened to others later is refused as well", async () => {
    const path = await credentialsFile(first);
    const clock = steppedClock();
    const file = await S3CredentialsFile.open(path, clock);

    await chmod(path, 0o644);
    clock.pass(1000);

    await expect(file.identity()).rejects.toThrow(/has mode 644/);
  });

  test.each([
    ["no JSON", "accessKeyId: AKFIRST, geheim"],
    ["half of it", '{"accessKeyId":"AKFIRST","secretAccessKey":"geheim'],
    ["a list", '["AKFIRST", "geheim"]'],
    ["no key", { secretAccessKey: "geheim" }],
    ["an empty secret", { accessKeyId: "AKFIRST", secretAccessKey: "", note: "geheim" }],
    ["a number", { accessKeyId: "AKFIRST", secretAccessKey: 4711, note: "geheim" }],
    ["a token that is none", { ...first, sessionToken: { value: "geheim" } }],
    ["nothing", ""],
  ])("with %s in it is refused, and nothing of it is shown", async (_what, content) => {
    const path = await credentialsFile(content);

    const { message, hint, text } = await refusal(path);

    expect(message).toBe(`the credentials file "${path}" does not hold credentials`);
    expect(hint).toBe(
      'Write it as JSON: {"accessKeyId": "…", "secretAccessKey": "…"}, with a "sessionToken" if there is one.',
    );
    expect(text).not.toMatch(/geheim|AKFIRST/);
  });

  test("that is not there is refused with its path", async () => {
    const path = join(await temporaryFolder(), "missing.json");

    const error = await openStore("s3://bucket", { s3: { credentialsFile: path } }).catch(
      (caught: unknown) => caught,
    );

    if (!isEngineError(error, "config")) throw error;
    expect(describeError(error)).toBe(
      `could not read the credentials file "${path}": could not read "${path}": no such file or directory`,
    );
  });
});

test("a store signs with the credentials that its file holds now, without being opened again", async () => {
  const path = await credentialsFile(first);
  const seen: { readonly key: string | undefined; readonly token: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const token = request.headers["x-amz-security-token"];
    seen.push({
      key: /Credential=([^/]+)\//.exec(request.headers.authorization ?? "")?.[1],
      token: typeof token === "string" ? token : undefined,
    });
    request.resume();
    response.writeHead(200, { etag: '"x"' }).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = await openStore("s3://bucket", { s3: { endpoint, credentialsFile: path } });
  onTestFinished(async () => {
    await store.close();
    server.closeAllConnections();
    server.close();
  });

  await store.put("one", [Buffer.from("1")]);
  await writeCredentials(path, second);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await store.put("two", [Buffer.from("2")]);

  expect(seen).toEqual([
    { key: first.accessKeyId, token: undefined },
    { key: second.accessKeyId, token: second.sessionToken },
  ]);
});
