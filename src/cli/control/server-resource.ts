import { z } from "zod";
import { findKindName } from "../../control/admission/kind-names.ts";
import { assert } from "../../common/errors.ts";
import type { ControlClient } from "../control-client.ts";
import { listPath, objectPath } from "../kind-arguments.ts";
import { shownBackupFields } from "./backup-facts.ts";
import { storeStatus } from "./store-table.ts";

/** A base backup of a Server, as its status has it. */
const serverBackup = z.looseObject({
  name: z.string(),
  schedule: z.string().optional(),
  phase: z.string(),
  ...shownBackupFields,
});

/** A Server as commands read it from the API: as much as they show. */
const serverSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.looseObject({ dataDirectory: z.string() }),
  status: z
    .looseObject({
      phase: z.string().default(""),
      phaseReason: z.string().optional(),
      version: z.string().optional(),
      role: z.string().optional(),
      lastArchivedWAL: z.string().optional(),
      lastArchivedTime: z.string().optional(),
      firstRecoverabilityPoint: z.string().optional(),
      lastSuccessfulBackup: z.string().optional(),
      nextBackup: z.string().optional(),
      backups: z.array(serverBackup).default([]),
      stores: z.array(storeStatus).default([]),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
        .default([]),
    })
    .default({ phase: "", backups: [], stores: [], conditions: [] }),
});
export type ServerObject = z.infer<typeof serverSchema>;

const serverList = z.object({ items: z.array(serverSchema) });

const kind = () => {
  const found = findKindName("Server");
  assert(found !== undefined, "Server is a kind");
  return found;
};

/** Of what only Tidemark's part of the API has. */
export function serverPath(namespace: string, name: string): string {
  return `/tidemark/v1/namespaces/${encodeURIComponent(namespace)}/servers/${encodeURIComponent(name)}`;
}

/** Where the Servers of a namespace are listed, and watched. */
export function serverListPath(namespace: string): string {
  return listPath(kind(), namespace);
}

export function parseServer(object: unknown): ServerObject {
  return serverSchema.parse(object);
}

/** Throws `resource-missing`. */
export async function readServer(
  client: ControlClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<ServerObject> {
  return serverSchema.parse(await client.request(objectPath(kind(), namespace, name), { signal }));
}

/** Of one namespace, or of all. */
export async function listServers(
  client: ControlClient,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly ServerObject[]> {
  return serverList.parse(await client.request(listPath(kind(), namespace), { signal })).items;
}
