import { z } from "zod";
import type { Clock } from "../common/clock.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import { requestServerBackup } from "../control/servers/request-backup.ts";
import { defineRoute, type ApiRoute } from "./api-route.ts";

const requestSchema = z.strictObject({
  /** What the backup is to be called; the Server's name and the time when left out. */
  name: z.string().optional(),
});
const answerSchema = z.object({ backup: z.string() });

/** What can be done with a Server beyond changing its manifest. */
export function serverRoutes(parts: {
  readonly store: ResourceStore;
  readonly clock: Clock;
}): readonly ApiRoute[] {
  return [
    defineRoute<Readonly<Record<string, never>>, z.infer<typeof requestSchema>>({
      method: "POST",
      path: "/tidemark/v1/namespaces/{namespace}/servers/{name}/backups",
      id: "backUpServer",
      summary: "Take a base backup of a Server now",
      description:
        "Answered when it has been noted; the entry of this name in the Server's status.backups says how it goes on.",
      body: { name: "ServerBackupRequest", schema: requestSchema },
      answer: { name: "ServerBackupRequested", schema: answerSchema },
      status: 201,
      handle: ({ params, body }) => {
        const { namespace = "", name = "" } = params;
        const { store, clock } = parts;
        const wanted = { store, name: body.name, now: clock.now() };
        const backup = requestServerBackup({ kind: "Server", namespace, name }, wanted);
        return Response.json({ backup }, { status: 201 });
      },
    }),
  ];
}
