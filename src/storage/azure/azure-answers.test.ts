/**
 * Answers that a healthy server does not give: a scripted HTTP server sends them over a real socket. It is no Azure; what a
 * whole server does is proven on Azurite, in `azure-store.test.ts`.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Secret } from "../../common/log.ts";
import { readObject } from "../object-body.ts";
import type { ListEntry, ObjectStore } from "../object-store.ts";
import { nameOfEntry } from "../listing-order.ts";
import { openAzureStore } from "./azure-store.ts";

interface Answer {
  readonly status?: number;
  /** Azure's error code, as it comes in the header, and in the body where there may be one. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the connection after the body, however long it was said to be. */
  readonly cut?: boolean;
}
interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

async function scripted(
  script: (request: Request) => Answer,
  scheme: "http" | "https" = "http",
): Promise<ObjectStore> {
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      const { method = "", url = "", headers } = request;
      const answer = script({ method, url, headers, body: body.toString() });
      const { code, status = 200 } = answer;
      const coded = code === undefined ? {} : { "x-ms-error-code": code };
      const type = {
        "content-type":
          answer.body?.startsWith("<?xml") === true || code !== undefined ? "application/xml" : "text/html",
      };
      response.writeHead(status, { ...type, ...coded, ...answer.headers });
      const xml = code === undefined ? "" : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
      if (answer.cut === true) response.write(answer.body ?? "", () => response.destroy());
      else response.end(answer.body ?? xml);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const store = await openAzureStore({
    account: "acct1",
    container: "backups",
    endpoint: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/acct1`,
    credentials: { kind: "sas", token: new Secret("sv=1&sig=geheim"), account: "acct1", endpoint: undefined },
  });
  onTestFinished(async () => {
    await store.close();
    server.closeAllConnections();
    server.close();
  });
  return store;
}

test("a shared access signature is not sent by plain HTTP to another machine", async () => {
  const token = new Secret("sv=1&sig=geheim");
  const opening = openAzureStore({
    account: "acct1",
    container: "backups",
    endpoint: "http://azurite:10000/acct1",
    credentials: { kind: "sas", token, account: "acct1", endpoint: undefined },
  });

  await expect(opening).rejects.toMatchObject({
    code: "config",
    message:
      "the shared access signature is not sent to http://azurite:10000/acct1: others could read it on its way",
  });
});

const modified = { etag: '"0x1"', "last-modified": "Sat, 21 Nov 2026 12:00:00 GMT" };

describe("failures of Azure become failures of the port", () => {
  test.for([
    { status: 503, code: "ServerBusy", expected: { code: "store-unavailable", retryable: true } },
    { status: 500, code: "InternalError", expected: { code: "store-unavailable", retryable: true } },
    { status: 500, code: "OperationTimedOut", expected: { code: "store-unavailable", retryable: true } },
    { status: 429, code: "TooManyRequests", expected: { code: "store-unavailable", retryable: true } },
    { status: 400, code: "Md5Mismatch", expected: { code: "store-unavailable", retryable: true } },
    { status: 409, code: "ContainerBeingDeleted", expected: { code: "store-unavailable", retryable: true } },
    { status: 502, code: undefined, expected: { code: "store-unavailable", retryable: true } },
    { status: 404, code: undefined, expected: { code: "store-unavailable", retryable: true } },
    { status: 404, code: "ContainerNotFound", expected: { code: "store-missing", retryable: false } },
    { status: 403, code: "AuthenticationFailed", expected: { code: "store-denied", retryable: false } },
    { status: 403, code: "SomethingNew", expected: { code: "store-denied", retryable: false } },
    { status: 401, code: undefined, expected: { code: "store-denied", retryable: false } },
    { status: 409, code: "BlobArchived", expected: { code: "store-denied", retryable: false } },
    { status: 413, code: "RequestBodyTooLarge", expected: { code: "store-denied", retryable: false } },
  ])("$status $code", async ({ status, code, expected }) => {
    let requests = 0;
    const store = await scripted(() => {
      requests++;
      return { status, ...(code === undefined ? { body: "<html>" } : { code }) };
    });

    await expect(store.put("key", [Buffer.from("x")])).rejects.toMatchObject(expected);
    await expect(store.get("key")).rejects.toMatchObject(expected);
    await expect(store.head("key")).rejects.toMatchObject(expected);
    // Trying again is the wrapper's.
    expect(requests).toBe(3);
  });

  test.for([
    [
      "Signature not valid in the specified time frame: Start [x] - Expiry [y] - Current [z]",
      "The SAS is not valid now: it has run out, begins later, or the clock of this machine is wrong.",
    ],
    [
      "Request date header too old: 'Sat, 21 Nov 2026 12:00:00 GMT'",
      "The clock of this machine and that of the store differ too much: synchronise it (NTP).",
    ],
    [
      "The MAC signature found in the HTTP request 'x' is not the same as any computed signature.",
      "The key or SAS does not fit this storage account: check that it was copied whole, and whether it was rotated.",
    ],
  ] as const)("a failed authentication says why: %s", async ([detail, hint]) => {
    const code = "AuthenticationFailed";
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><AuthenticationErrorDetail>${detail}</AuthenticationErrorDetail></Error>`;
    const store = await scripted(() => ({ status: 403, code, body }));

    await expect(store.put("key", [])).rejects.toMatchObject({
      code: "store-denied",
      message: 'could not write "key" in azure://acct1/backups: AuthenticationFailed (403)',
      hint,
    });
  });

  test("nothing of a failure shows the signature", async () => {
    const store = await scripted(() => ({ status: 503, code: "ServerBusy" }));

    const failures = await Promise.allSettled([
      store.get("key"),
      store.put("key", [Buffer.from("x")]),
      Array.fromAsync(store.list("")),
    ]);

    expect(failures.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(inspect(failures, { depth: 20, showHidden: true })).not.toMatch(/geheim|sig=/);
  });

  test("tags that Azure does not take are told from a refused asker", async () => {
    const store = await scripted(() => ({ status: 400, code: "InvalidTag" }));

    await expect(store.put("key", [])).rejects.toMatchObject({
      code: "store-denied",
      hint: "Azure takes up to ten tags; keys and values may have letters, digits, spaces and + - . / : = _ alone.",
    });
  });

  test("a server that speaks no TLS is told from one that is down", async () => {
    const store = await scripted(() => ({}), "https");

    await expect(store.head("key")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      hint: "If the store is reached by plain HTTP, write the endpoint with http://.",
    });
  });
});

test("a proxy of the environment is asked for the way to Azure, and its password does not show", async () => {
  const asked: string[] = [];
  const proxy = createServer().on("connect", (request, socket) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const { port } = proxy.address() as AddressInfo;
  vi.stubEnv("HTTPS_PROXY", `http://user:geheim@127.0.0.1:${port}`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    proxy.close();
  });
  const credentials = {
    kind: "sas",
    token: new Secret("sig=x"),
    account: "acct1",
    endpoint: undefined,
  } as const;
  const store = await openAzureStore({ account: "acct1", container: "backups", credentials });

  const failure = await store.head("key").catch((error: unknown) => error);

  const basic = Buffer.from("user:geheim").toString("base64");
  expect(asked).toEqual([`acct1.blob.core.windows.net:443 Basic ${basic}`]);
  expect(failure).toMatchObject({
    code: "store-denied",
    message: `could not look at "key" in azure://acct1/backups: the proxy http://127.0.0.1:${port} wants credentials (407)`,
  });
  expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(new RegExp(`geheim|${basic}`));
  await store.close();
});

describe("bodies", () => {
  test("a connection cut before the last byte is no end", async () => {
    const store = await scripted(() => ({
      headers: { ...modified, "content-length": "100" },
      body: "only this",
      cut: true,
    }));

    await expect(readObject(store, "key", 1000)).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
      message: 'could not read "key" in azure://acct1/backups: the connection was cut',
    });
  });

  test("an answer without a length is not trusted", async () => {
    const store = await scripted(() => ({
      headers: { ...modified, "transfer-encoding": "chunked" },
      body: "x",
    }));

    await expect(store.get("key")).rejects.toMatchObject({ code: "store-unavailable" });
  });

  test("a server that ignores the range is noticed", async () => {
    const store = await scripted(() => ({ headers: { ...modified, "content-length": "5" }, body: "hello" }));

    await expect(store.get("key", { range: { startByte: 2 } })).rejects.toMatchObject({
      code: "store-unavailable",
      message: 'could not read "key" in azure://acct1/backups: the answer has no range',
    });
  });

  test("what is stored comes as it is, however it says that it is encoded", async () => {
    const headers = { ...modified, "content-length": "2", "content-encoding": "gzip" };
    const store = await scripted(() => ({ headers, body: "xy" }));

    expect(String(await readObject(store, "key", 100))).toBe("xy");
  });
});

describe("content on the way", () => {
  test("goes in one request with its length and, over plain HTTP, its digest", async () => {
    const requests: Request[] = [];
    const store = await scripted((request) => {
      requests.push(request);
      return { status: 201, headers: modified };
    });

    const info = await store.put("some key", [Buffer.from("ab"), Buffer.from("c")]);

    expect(info).toEqual({
      key: "some key",
      sizeBytes: 3,
      etag: "0x1",
      modifiedAt: new Date("2026-11-21T12:00:00Z"),
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      method: "PUT",
      url: "/acct1/backups/some%20key?sv=1&sig=geheim",
      body: "abc",
      headers: {
        "content-length": "3",
        "content-md5": "kAFQmDzST7DWlj99KOF/cg==",
        "x-ms-blob-type": "BlockBlob",
        "user-agent": expect.stringContaining("tidemark") as string,
      },
    });
    expect(requests[0]?.headers["if-none-match"]).toBeUndefined();
    expect(requests[0]?.headers["x-ms-tags"]).toBeUndefined();
  });
});

describe("lists", () => {
  const page = (items: string, next = "", prefixes = "") =>
    `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="backups"><Blobs>${items}${prefixes}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
  const item = (name: string, metadata = "") =>
    `<Blob><Name>${name}</Name><Properties><Last-Modified>Sat, 21 Nov 2026 12:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>1</Content-Length></Properties>${metadata}</Blob>`;
  const names = async (entries: AsyncIterable<ListEntry>) => Array.fromAsync(entries, nameOfEntry);

  test("go on where a page ends, also when a page is empty", async () => {
    const store = await scripted(({ url }) => {
      const marker = new URL(url, "http://x").searchParams.get("marker");
      if (marker === "2") return { body: page(item("c")) };
      return { body: marker === "1" ? page("", "2") : page(item("a") + item("b"), "1") };
    });

    expect(await names(store.list(""))).toEqual(["a", "b", "c"]);
  });

  test("that are ordered by UTF-16 across pages come in the order of the port", async () => {
    const store = await scripted(({ url }) => ({
      body: url.includes("marker=") ? page(item("x\uffee") + item("y")) : page(item("x\u{1f418}"), "next"),
    }));

    expect(await names(store.list(""))).toEqual(["x\uffee", "x\u{1f418}", "y"]);
  });

  test("leave out the folders of an account with a hierarchical namespace", async () => {
    const folder = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>";
    const store = await scripted(() => ({ body: page(item("a", folder) + item("a/b")) }));

    expect(await names(store.list(""))).toEqual(["a/b"]);
  });

  test("out of order are not relied upon", async () => {
    const store = await scripted(({ url }) => ({
      body: url.includes("marker=") ? page(item("a")) : page(item("b"), "next"),
    }));

    await expect(names(store.list(""))).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      message: 'azure://acct1/backups lists "a" after "b": not in the order of Azure',
    });
  });

  test("that are cut short are not understood, and their content is not repeated", async () => {
    const store = await scripted(() => ({ body: page(item("a")).slice(0, -30) }));

    await expect(names(store.list(""))).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
      message: 'could not list "" in azure://acct1/backups: the answer is not understood',
    });
  });

  test("that are a proxy's web page are no empty lists", async () => {
    const body = "<html><body><p>Down for maintenance</p></body></html>";
    const store = await scripted(() => ({ body }));

    for (const delimiter of [{}, { delimiter: "/" }] as const) {
      await expect(names(store.list("wals/", delimiter))).rejects.toMatchObject({
        code: "store-unavailable",
        message: 'could not list "wals/" in azure://acct1/backups: the answer is no list',
      });
    }
  });
});
