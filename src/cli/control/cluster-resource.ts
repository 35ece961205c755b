import { z } from "zod";
import type { ControlClient } from "../control-client.ts";
import { storeStatus } from "./store-table.ts";
import { watchObject } from "./watch-object.ts";

/** A Cluster as commands read it from the API: as much as they show. */
const clusterSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string(), uid: z.string() }),
  spec: z.looseObject({
    instances: z.number().optional(),
    imageName: z.string().optional(),
    storage: z.unknown().optional(),
    plugins: z
      .array(
        z.looseObject({
          name: z.string(),
          enabled: z.boolean().optional(),
          parameters: z.record(z.string(), z.string()).optional(),
        }),
      )
      .optional(),
    backup: z.looseObject({ barmanObjectStore: z.unknown().optional() }).optional(),
  }),
  status: z
    .looseObject({
      phase: z.string().default(""),
      phaseReason: z.string().optional(),
      instances: z.number().default(0),
      readyInstances: z.number().default(0),
      currentPrimary: z.string().optional(),
      targetPrimary: z.string().optional(),
      timelineID: z.number().optional(),
      firstRecoverabilityPoint: z.string().optional(),
      lastSuccessfulBackup: z.string().optional(),
      lastFailedBackup: z.string().optional(),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
        .default([]),
      tidemark: z
        .looseObject({
          primary: z.object({ host: z.string(), port: z.number(), socketDirectory: z.string() }).optional(),
          instances: z
            .array(
              z.looseObject({
                name: z.string(),
                role: z.string(),
                state: z.string(),
                ready: z.boolean().optional(),
                activity: z.string().optional(),
                error: z.string().optional(),
                port: z.number().optional(),
                lsn: z.string().optional(),
                version: z.string().optional(),
              }),
            )
            .default([]),
          stores: z.array(storeStatus).default([]),
          aside: z
            .array(
              z.object({
                path: z.string(),
                bytes: z.number().optional(),
                putAsideAt: z.string().optional(),
                keptUntil: z.string().optional(),
              }),
            )
            .default([]),
        })
        .optional(),
    })
    .default({ phase: "", instances: 0, readyInstances: 0, conditions: [] }),
});
export type ClusterObject = z.infer<typeof clusterSchema>;

const clusterList = z.object({ items: z.array(clusterSchema) });

const kindPath = "/apis/postgresql.cnpg.io/v1";

/** Of what only Tidemark's part of the API has. */
export function clusterPath(namespace: string, name: string): string {
  return `/tidemark/v1/namespaces/${encodeURIComponent(namespace)}/clusters/${encodeURIComponent(name)}`;
}

/** Throws `resource-missing`. */
export async function readCluster(
  client: ControlClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<ClusterObject> {
  const path = `${kindPath}/namespaces/${encodeURIComponent(namespace)}/clusters/${encodeURIComponent(name)}`;
  return clusterSchema.parse(await client.request(path, { signal }));
}

/** Of one namespace, or of all. */
export async function listClusters(
  client: ControlClient,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly ClusterObject[]> {
  const within = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return clusterList.parse(await client.request(`${kindPath}${within}/clusters`, { signal })).items;
}

/** The Cluster now, and again whenever it changes; ends when it is deleted or the signal fires. */
export async function* watchCluster(
  client: ControlClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): AsyncIterable<ClusterObject> {
  const path = `${kindPath}/namespaces/${encodeURIComponent(namespace)}/clusters`;
  for await (const object of watchObject(client, path, name, signal)) {
    yield clusterSchema.parse(object);
  }
}
