import { z } from "zod";
import type { Clock } from "../common/clock.ts";
import { tidemarkVersion } from "../common/version.ts";
import { defineRoute, type ApiRoute } from "./api-route.ts";

const versionSchema = z.object({ version: z.string(), pid: z.number().int(), startedAt: z.string() });
const healthSchema = z.object({ status: z.literal("ok") });

/** What the control plane says of itself. */
export function metaRoutes({ clock }: { readonly clock: Clock }): readonly ApiRoute[] {
  const startedAt = clock.now().toISOString();
  return [
    defineRoute({
      method: "GET",
      path: "/tidemark/v1/version",
      id: "readVersion",
      summary: "Which Tidemark this is, and since when it runs",
      answer: { name: "Version", schema: versionSchema },
      handle: () => Response.json({ version: tidemarkVersion, pid: process.pid, startedAt }),
    }),
    defineRoute({
      method: "GET",
      path: "/healthz",
      id: "readHealth",
      summary: "Whether it answers; needs no token",
      answer: { name: "Health", schema: healthSchema },
      handle: () => Response.json({ status: "ok" }),
    }),
  ];
}
