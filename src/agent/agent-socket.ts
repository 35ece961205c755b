import { join } from "node:path";
import { z } from "zod";
import { listenForRequests, type RequestSocket } from "../common/request-socket.ts";
import type { AgentRequest } from "./agent-client.ts";
import type { Spool } from "./spool.ts";

const requestSchema: z.ZodType<AgentRequest> = z.discriminatedUnion("op", [
  z.object({ op: z.literal("status") }),
  z.object({ op: z.literal("push"), name: z.string() }),
]);

/** Listens in the spool. Only the owner of the folder can connect. */
export async function listen(
  spool: Spool,
  answer: (request: AgentRequest) => Promise<unknown>,
): Promise<RequestSocket> {
  return listenForRequests({
    path: join(spool.root, "agent.sock"),
    owner: spool.owner,
    answer: async (request) => answer(requestSchema.parse(request)),
  });
}
