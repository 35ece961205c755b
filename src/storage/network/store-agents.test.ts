import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { SmallS3 } from "../s3/testing/small-s3.ts";
import { scriptedStore } from "../s3/testing/scripted-s3.ts";
import { openStoreAgents } from "./store-agents.ts";
import { startConnectProxy } from "./testing/connect-proxy.ts";

async function fileWith(text: string, mode = 0o600): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-proxy-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "proxy");
  await writeFile(path, text, { mode });
  return path;
}

describe("a store behind a proxy", () => {
  test("is reached through it alone, one tunnel for each connection", async () => {
    const proxy = await startConnectProxy();
    const small = new SmallS3();
    const store = await scriptedStore(small.script, { proxy: proxy.url });

    await store.put("one", [Buffer.from("1")]);
    await store.put("two", [Buffer.from("2")]);

    expect([...small.objects.keys()]).toEqual(["one", "two"]);
    expect(proxy.tunnels).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  test("gives the proxy the credentials of their file, without its line's end", async () => {
    const proxy = await startConnectProxy("someone:geh:eim@1");
    const proxyCredentialsFile = await fileWith("someone:geh:eim@1\n");
    const store = await scriptedStore(new SmallS3().script, { proxy: proxy.url, proxyCredentialsFile });

    expect(await store.put("one", [Buffer.from("1")])).toMatchObject({ sizeBytes: 1 });
  });

  test("that wants credentials says so, without those that it was given", async () => {
    const proxy = await startConnectProxy("someone:right");
    const proxyCredentialsFile = await fileWith("someone:geheim");
    const store = await scriptedStore(new SmallS3().script, { proxy: proxy.url, proxyCredentialsFile });

    const error = await store.get("one").catch((caught: unknown) => caught);

    expect(error).toMatchObject({
      code: "store-denied",
      message: `could not read "one" in s3://b: the proxy ${proxy.url} wants credentials (407)`,
      hint: "Name a file with its user:password (proxyCredentialsFile), or write them into HTTPS_PROXY.",
    });
    expect(inspect(error, { depth: 10 })).not.toContain("geheim");
  });

  test("that says nothing is given up, and is no longer asked when the store is closed", async () => {
    const asked: Socket[] = [];
    const server = createServer((socket) => void asked.push(socket.resume())).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const proxy = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const script = new SmallS3().script;

    const store = await scriptedStore(script, { proxy, tunnelTimeoutMs: 50 });
    await expect(store.get("one")).rejects.toMatchObject({
      code: "store-unavailable",
      message: 'could not read "one" in s3://b: ETIMEDOUT',
      hint: `The proxy ${proxy} does not answer, or the store behind it: check both.`,
    });

    const patient = await scriptedStore(script, { proxy });
    const reading = patient.get("one").catch((error: unknown) => error);
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    await patient.close();
    expect(await reading).toMatchObject({ code: "store-unavailable" });
    await vi.waitFor(() => expect(asked.every(({ closed }) => closed)).toBe(true));
  });

  test("that is not there is named beside the store", async () => {
    const store = await scriptedStore(new SmallS3().script, { proxy: "http://127.0.0.1:9" });

    await expect(store.get("one")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
      hint: expect.stringMatching(
        /^Nothing listens at the proxy http:\/\/127\.0\.0\.1:9, or at http/,
      ) as string,
    });
  });

  test("of the environment is for https alone, and not where NO_PROXY says so", async () => {
    const proxy = await startConnectProxy();
    vi.stubEnv("HTTPS_PROXY", proxy.url);
    vi.stubEnv("NO_PROXY", "127.0.0.0/8");
    onTestFinished(() => void vi.unstubAllEnvs());
    const plain = await scriptedStore(new SmallS3().script);
    const around = await scriptedStore(new SmallS3().script, { scheme: "https" });

    await plain.put("one", [Buffer.from("1")]);
    // Reached, and found not to speak TLS.
    await expect(around.head("one")).rejects.toThrow(/does not speak TLS/);
    expect(proxy.tunnels).toEqual([]);

    vi.stubEnv("NO_PROXY", "");
    const through = await scriptedStore(new SmallS3().script, { scheme: "https" });
    await expect(through.head("one")).rejects.toThrow(/does not speak TLS/);
    expect(proxy.tunnels).toHaveLength(1);
  });
});

test("a CA file without a certificate is refused", async () => {
  const caFile = await fileWith("-----BEGIN PRIVATE KEY-----\n");

  await expect(openStoreAgents({ caFile })).rejects.toMatchObject({
    code: "config",
    message: `the CA file "${caFile}" holds no certificate`,
  });
});

test.each([
  ["someone:geheim", 0o644, /has mode 644: others than its owner can read it$/],
  ["geheim", 0o600, /^the proxy credentials file ".*" does not hold credentials$/],
])("a file with %s and mode %o is refused, and not shown", async (text, mode, message) => {
  const proxyCredentialsFile = await fileWith(text, mode);

  const error = await openStoreAgents({ proxy: "http://proxy:1", proxyCredentialsFile }).catch(
    (caught: unknown) => caught,
  );

  expect(error).toMatchObject({ code: "config", message: expect.stringMatching(message) as string });
  expect(inspect(error)).not.toContain("geheim");
});
