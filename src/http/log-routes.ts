import { open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import type { ClusterInstances } from "../control/clusters/cluster-instances.ts";
import { instanceFolder } from "../instance/instance-folder.ts";
import { defineRoute, flag, type ApiRoute } from "./api-route.ts";

const querySchema = z.object({
  /** Which instance; the only or first one when left out. */
  instance: z.string().optional(),
  /** PostgreSQL's own log, or that of the process beside it. */
  source: z.enum(["server", "process"]).default("server"),
  /** How much of the end, in bytes. */
  tailBytes: z.coerce.number().int().min(0).max(16_777_216).default(65_536),
  follow: flag,
});
type LogQuery = z.infer<typeof querySchema>;

const pollMs = 500;
const pieceBytes = 65_536;

/** What instances have written. */
export function logRoutes({ instances }: { readonly instances: ClusterInstances }): readonly ApiRoute[] {
  return [
    defineRoute<LogQuery>({
      method: "GET",
      path: "/tidemark/v1/namespaces/{namespace}/clusters/{name}/logs",
      id: "readLogs",
      summary: "The log of an instance",
      description: "Text. With follow it goes on until the client leaves.",
      query: querySchema,
      answer: { name: "LogText", schema: z.string() },
      handle: async ({ params, query, signal }) => {
        const { namespace = "", name = "" } = params;
        const present = instances.of({ kind: "Cluster", namespace, name });
        const found = present.find((one) => query.instance === undefined || one.name === query.instance);
        if (found === undefined) throw noInstance(`${namespace}/${name}`, query.instance, present);
        const { serverLog, processLog } = instanceFolder(found.folder);
        const path = query.source === "server" ? serverLog : processLog;
        const body = ReadableStream.from(readLog(path, query, signal));
        return new Response(body, { headers: { "content-type": "text/plain; charset=utf-8" } });
      },
    }),
  ];
}

/** Whole lines from near the end on. */
async function* readLog(
  path: string,
  { tailBytes, follow }: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = Math.max(0, (await sizeOf(path)) - tailBytes);
  let isInLine = at > 0;
  for (;;) {
    const piece = await readFrom(path, at);
    at += piece.length;
    const start = isInLine ? piece.indexOf(0x0a) + 1 : 0;
    if (start > 0 || !isInLine) {
      isInLine = false;
      if (piece.length > start) yield piece.subarray(start);
    }
    if (piece.length === pieceBytes) continue;
    if (follow !== true || signal.aborted) return;
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    // It was begun anew.
    if ((await sizeOf(path)) < at) at = 0;
  }
}

async function readFrom(path: string, at: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, "r");
    const buffer = Buffer.alloc(pieceBytes);
    const { bytesRead } = await file.read(buffer, 0, pieceBytes, at);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return new Uint8Array();
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

function noInstance(
  cluster: string,
  wanted: string | undefined,
  present: readonly { readonly name: string }[],
): EngineError {
  const names = present.map(({ name }) => `"${name}"`).join(", ");
  const what = wanted === undefined ? "no instance" : `no instance "${wanted}"`;
  return new EngineError("resource-missing", `Cluster ${cluster} has ${what}`, {
    hint: names === "" ? "tidemark describe cluster says what it waits for." : `It has ${names}.`,
  });
}
