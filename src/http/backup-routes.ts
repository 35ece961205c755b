import { z } from "zod";
import type { Clock } from "../common/clock.ts";
import { purgeBackup } from "../control/backups/purge-backup.ts";
import type { ClusterRepositories } from "../control/clusters/cluster-repositories.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import { defineRoute, type ApiRoute } from "./api-route.ts";

const purgeRequestSchema = z.strictObject({
  dryRun: z.boolean().default(false),
  /** Also the last good backup of a repository. */
  force: z.boolean().default(false),
});

export const purgeAnswerSchema = z.object({
  repositories: z.array(
    z.object({
      repository: z.string(),
      backupId: z.string(),
      objects: z.number().int(),
      bytes: z.number().int(),
      walObjects: z.number().int(),
      walBytes: z.number().int(),
    }),
  ),
});

/** What can be done with a Backup beyond deleting the object. */
export function backupRoutes(parts: {
  readonly store: ResourceStore;
  readonly repositories: ClusterRepositories;
  readonly clock: Clock;
}): readonly ApiRoute[] {
  return [
    defineRoute<Readonly<Record<string, never>>, z.infer<typeof purgeRequestSchema>>({
      method: "POST",
      path: "/tidemark/v1/namespaces/{namespace}/backups/{name}/purge",
      id: "purgeBackup",
      summary: "Delete a Backup with its data, and the WAL that only it needed",
      description:
        "From every repository of its cluster. With dryRun nothing is deleted, and the answer says what would be.",
      body: { name: "Purge", schema: purgeRequestSchema },
      answer: { name: "Purged", schema: purgeAnswerSchema },
      handle: async ({ params, body, signal }) => {
        const { namespace = "", name = "" } = params;
        const purged = await purgeBackup({ kind: "Backup", namespace, name }, { ...parts, ...body, signal });
        return Response.json({ repositories: purged });
      },
    }),
  ];
}
