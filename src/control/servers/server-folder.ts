import { join } from "node:path";
import type { ResourceKey } from "../resources/resource.ts";

/** Where everything of ours about a Server is: `<state>/servers/<namespace>/<name>`. */
export function serverFolder(
  stateDirectory: string,
  { namespace, name }: Pick<ResourceKey, "namespace" | "name">,
): string {
  return join(serversRoot(stateDirectory), namespace, name);
}

export function serversRoot(stateDirectory: string): string {
  return join(stateDirectory, "servers");
}
