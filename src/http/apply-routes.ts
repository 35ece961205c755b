import { z } from "zod";
import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import { applyManifests } from "../control/admission/apply-manifests.ts";
import { applyResultSchema } from "../control/admission/apply-result.ts";
import { goesWith } from "../control/admission/owned.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import { defineRoute, type ApiRoute } from "./api-route.ts";

const applyRequestSchema = z.strictObject({
  texts: z.array(z.strictObject({ path: z.string(), text: z.string() })),
  /** Only say what would happen. */
  dryRun: z.boolean().optional(),
  ignoredRules: z.array(z.string()).optional(),
  ignoreUnknown: z.boolean().optional(),
  /** Where objects go that name no namespace: `default` when left out. */
  defaultNamespace: z.string().optional(),
  /** Refuse objects that name another one. */
  requireNamespace: z.boolean().optional(),
});
export type ApplyRequest = z.infer<typeof applyRequestSchema>;

const objectKeySchema = z.strictObject({
  kind: z.string(),
  /** Empty for a Namespace. */
  namespace: z.string(),
  name: z.string(),
});
const deletionRequestSchema = z.strictObject({ objects: z.array(objectKeySchema) });
export const deletionPlanSchema = z.object({
  /** Of those asked for, the ones that are not there. */
  missing: z.array(objectKeySchema),
  /** What goes with them because only they own it. */
  alsoDeleted: z.array(objectKeySchema),
});

/** What acts on several objects at once. */
export function applyRoutes({
  store,
  clock,
  log,
}: {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Log;
}): readonly ApiRoute[] {
  return [
    defineRoute<Readonly<Record<string, never>>, ApplyRequest>({
      method: "POST",
      path: "/tidemark/v1/apply",
      id: "applyManifests",
      summary: "Bring the objects to what manifests say, all or none",
      description:
        "The answer has the status 200 also when the manifests are refused: its outcome says so, and the findings why. Values of Secrets are never in it.",
      body: { name: "ApplyRequest", schema: applyRequestSchema },
      answer: { name: "ApplyResult", schema: applyResultSchema },
      handle({ body: { defaultNamespace = "default", ...options } }) {
        const result = applyManifests({ store, defaultNamespace, now: clock.now(), ...options });
        if (result.outcome === "applied") logApplied(log, result.objects);
        return Response.json(result);
      },
    }),
    defineRoute<Readonly<Record<string, never>>, z.infer<typeof deletionRequestSchema>>({
      method: "POST",
      path: "/tidemark/v1/deletion-plan",
      id: "planDeletion",
      summary: "What would go with these objects",
      description: "Nothing is deleted by it.",
      body: { name: "DeletionRequest", schema: deletionRequestSchema },
      answer: { name: "DeletionPlan", schema: deletionPlanSchema },
      handle({ body: { objects } }) {
        const missing = objects.filter((key) => store.get(key) === undefined);
        return Response.json({ missing, alsoDeleted: goesWith(store, objects) });
      },
    }),
  ];
}

function logApplied(log: Log, objects: readonly { readonly outcome: string }[]): void {
  const count = (wanted: string): number => objects.filter(({ outcome }) => outcome === wanted).length;
  const [created, configured] = [count("created"), count("configured")];
  if (created + configured > 0) log.info("manifests were applied", { created, configured });
}
