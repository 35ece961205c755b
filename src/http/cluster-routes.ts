import { z } from "zod";
import type { ClusterInstances } from "../control/clusters/cluster-instances.ts";
import type { ClusterRepositories } from "../control/clusters/cluster-repositories.ts";
import { previewRecovery } from "../control/clusters/recovery-preview.ts";
import { requestSwitchover } from "../control/clusters/switchover.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import type { ResourceKey } from "../control/resources/resource.ts";
import { defineRoute, type ApiRoute } from "./api-route.ts";

const promotionSchema = z.strictObject({
  /** Which instance; the most advanced standby when left out. */
  instance: z.string().optional(),
});
const promotedSchema = z.object({ instance: z.string() });

const targetSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("latest") }),
  z.strictObject({ kind: z.literal("immediate") }),
  z.strictObject({ kind: z.literal("time"), time: z.string(), inclusive: z.boolean() }),
  z.strictObject({ kind: z.literal("lsn"), lsn: z.string(), inclusive: z.boolean() }),
  z.strictObject({ kind: z.literal("xid"), xid: z.string(), inclusive: z.boolean() }),
  z.strictObject({ kind: z.literal("name"), name: z.string() }),
]);
const previewRequestSchema = z.strictObject({
  target: targetSchema,
  timeline: z.union([z.literal("latest"), z.number().int().positive()]).default("latest"),
  /** ID of a base backup, or `auto`. */
  backup: z.string().default("auto"),
});
/** A plan as `tidemark base restore --dry-run -o json` has it. */
const previewSchema = z.object({
  objectStore: z.string().nullable(),
  /** Others that could be read, and may have what that one lacks. */
  furtherObjectStores: z.array(z.string()),
  repository: z.string(),
  serverName: z.string(),
  plan: z.looseObject({}),
});

/** What can be done with a cluster beyond changing its manifest. */
export function clusterRoutes(parts: {
  readonly store: ResourceStore;
  readonly instances: ClusterInstances;
  readonly repositories: ClusterRepositories;
}): readonly ApiRoute[] {
  const { store, repositories } = parts;
  return [
    defineRoute<Readonly<Record<string, never>>, z.infer<typeof promotionSchema>>({
      method: "POST",
      path: "/tidemark/v1/namespaces/{namespace}/clusters/{name}/promotion",
      id: "promoteInstance",
      summary: "Make a standby the primary, in a planned switchover",
      description: "Answered when it has been noted; the Cluster's status says how it goes on.",
      body: { name: "Promotion", schema: promotionSchema },
      answer: { name: "Promoted", schema: promotedSchema },
      handle: ({ params, body }) =>
        Response.json({ instance: requestSwitchover(parts, clusterKey(params), body.instance) }),
    }),
    defineRoute<Readonly<Record<string, never>>, z.infer<typeof previewRequestSchema>>({
      method: "POST",
      path: "/tidemark/v1/namespaces/{namespace}/clusters/{name}/recovery-plan",
      id: "planRecovery",
      summary: "How the cluster's data would be restored to a target",
      description:
        "Only reads. Refused with the code target-unreachable when no repository of the cluster can reach the target.",
      body: { name: "RecoveryRequest", schema: previewRequestSchema },
      answer: { name: "RecoveryPreview", schema: previewSchema },
      handle: async ({ params, body, signal }) => {
        const cluster = store.require(clusterKey(params));
        const preview = await previewRecovery(repositories, cluster, body, signal);
        return Response.json({ ...preview, objectStore: preview.objectStore ?? null });
      },
    }),
  ];
}

function clusterKey({ namespace = "", name = "" }: Readonly<Record<string, string>>): ResourceKey {
  return { kind: "Cluster", namespace, name };
}
