import { open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import type { ClusterInstances } from "../control/clusters/cluster-instances.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import { serverFolder } from "../control/servers/server-folder.ts";
import { attachedFolder } from "../instance/attached/attached-folder.ts";
import { instanceFolder } from "../instance/instance-folder.ts";
import { defineRoute, flag, type ApiRoute } from "./api-route.ts";

const pieceSchema = z.object({
  /** How much of the end, in bytes. */
  tailBytes: z.coerce.number().int().min(0).max(16_777_216).default(65_536),
  follow: flag,
});
type LogPiece = z.infer<typeof pieceSchema>;

const querySchema = pieceSchema.extend({
  /** Which instance; the only or first one when left out. */
  instance: z.string().optional(),
  /** PostgreSQL's own log, or that of the process beside it. */
  source: z.enum(["server", "process"]).default("server"),
});
type LogQuery = z.infer<typeof querySchema>;

const logText = { name: "LogText", schema: z.string() };

const pollMs = 500;
const pieceBytes = 65_536;

/** What instances and agents have written. */
export function logRoutes({
  instances,
  store,
  stateDirectory,
}: {
  readonly instances: ClusterInstances;
  readonly store: ResourceStore;
  readonly stateDirectory: string;
}): readonly ApiRoute[] {
  return [
    defineRoute<LogQuery>({
      method: "GET",
      path: "/tidemark/v1/namespaces/{namespace}/clusters/{name}/logs",
      id: "readLogs",
      summary: "The log of an instance",
      description: "Text. With follow it goes on until the client leaves.",
      query: querySchema,
      answer: logText,
      handle: async ({ params, query, signal }) => {
        const { namespace = "", name = "" } = params;
        const present = instances.of({ kind: "Cluster", namespace, name });
        const found = present.find((one) => query.instance === undefined || one.name === query.instance);
        if (found === undefined) throw noInstance(`${namespace}/${name}`, query.instance, present);
        const { serverLog, processLog } = instanceFolder(found.folder);
        const path = query.source === "server" ? serverLog : processLog;
        return logResponse(path, query, signal);
      },
    }),
    defineRoute<LogPiece>({
      method: "GET",
      path: "/tidemark/v1/namespaces/{namespace}/servers/{name}/logs",
      id: "readServerLogs",
      summary: "The log of the agent beside a server",
      description:
        "Text. With follow it goes on until the client leaves. PostgreSQL's own log is not known here.",
      query: pieceSchema,
      answer: logText,
      handle: ({ params, query, signal }) => {
        const { namespace = "", name = "" } = params;
        const { metadata } = store.require({ kind: "Server", namespace, name });
        return logResponse(attachedFolder(serverFolder(stateDirectory, metadata)).processLog, query, signal);
      },
    }),
  ];
}

function logResponse(path: string, piece: LogPiece, signal: AbortSignal): Response {
  const body = ReadableStream.from(readLog(path, piece, signal));
  return new Response(body, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

/** Whole lines from near the end on. */
async function* readLog(
  path: string,
  { tailBytes, follow }: LogPiece,
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
