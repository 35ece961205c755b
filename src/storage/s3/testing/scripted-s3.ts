/** A scripted HTTP server that answers S3 requests over a real socket. It is no S3: what a whole server does is proven on Ceph. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { Secret } from "../../../common/log.ts";
import type { ObjectStore } from "../../object-store.ts";
import { openS3Store, type S3StoreOptions } from "../s3-store.ts";

export interface Answer {
  readonly status?: number;
  /** An S3 error with this code. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Ends the connection after the body, however long it was said to be. */
  readonly cut?: boolean;
}

export interface ScriptedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly body: string;
}

export type Script = (request: ScriptedRequest) => Answer | Promise<Answer>;

/** Starts the server on loopback, until the test ends. Gives its port. */
export async function startScripted(script: Script): Promise<number> {
  const server = createServer((request, response) => {
    void buffer(request)
      .then(async (bytes) => {
        const { method = "", url = "", headers } = request;
        reply(response, await script({ method, url, headers, bytes, body: bytes.toString() }));
      })
      // The client has gone: there is nobody to answer.
      .catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The bucket `b` of a scripted server. */
export async function scriptedStore(
  script: Script,
  options: Partial<S3StoreOptions> & { readonly scheme?: "http" | "https" } = {},
): Promise<ObjectStore> {
  const { scheme = "http", ...rest } = options;
  const port = await startScripted(script);
  const store = await openS3Store({
    bucket: "b",
    endpoint: `${scheme}://127.0.0.1:${port}`,
    credentials: { accessKeyId: "key", secretAccessKey: new Secret("geheim") },
    ...rest,
  });
  onTestFinished(async () => store.close());
  return store;
}

function reply(response: ServerResponse, answer: Answer): void {
  const xml =
    answer.code === undefined ? undefined : `<Error><Code>${answer.code}</Code><Message>m</Message></Error>`;
  response.writeHead(answer.status ?? 200, answer.headers);
  if (answer.cut !== true) {
    response.end(answer.body ?? xml);
    return;
  }
  response.write(answer.body ?? "", () => response.destroy());
}
