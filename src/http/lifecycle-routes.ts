import { z } from "zod";
import { defineRoute, type ApiRoute } from "./api-route.ts";

const shutdownSchema = z.strictObject({
  /** Whether instances go on running and archiving. */
  leaveInstances: z.boolean().default(false),
});
export type ShutdownRequest = z.infer<typeof shutdownSchema>;

/** The end of the control plane, as `tidemark down` asks for it. */
export function lifecycleRoutes(onShutdown: (request: ShutdownRequest) => void): readonly ApiRoute[] {
  return [
    defineRoute<Readonly<Record<string, never>>, ShutdownRequest>({
      method: "POST",
      path: "/tidemark/v1/shutdown",
      id: "shutDown",
      summary: "End the control plane",
      description: "Answered before it ends.",
      body: { name: "Shutdown", schema: shutdownSchema },
      answer: { name: "ShutdownBegun", schema: z.object({ pid: z.number().int() }) },
      handle: ({ body }) => {
        onShutdown(body);
        return Response.json({ pid: process.pid });
      },
    }),
  ];
}
