import type { z } from "zod";
import { server } from "../../manifest/kinds/server.ts";
import { misfit } from "../misfit.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";

export type ServerSpec = z.infer<typeof server>["spec"];

/** A Server with its fields typed, and what its annotations say of it. */
export interface ServerView {
  readonly resource: Resource;
  readonly key: ResourceKey;
  readonly spec: ServerSpec;
  /** `cnpg.io/skipEmptyWalArchiveCheck: enabled`: as on a Cluster. */
  readonly skipsEmptyArchiveCheck: boolean;
}

/** Throws `manifest` for one that no longer fits its schema: kept by an older version, say. */
export function viewServer(resource: Resource): ServerView {
  const key = keyOf(resource);
  const parsed = server.shape.spec.safeParse(resource.content["spec"]);
  if (!parsed.success) throw misfit(key, parsed.error);
  return {
    resource,
    key,
    spec: parsed.data,
    skipsEmptyArchiveCheck: resource.metadata.annotations["cnpg.io/skipEmptyWalArchiveCheck"] === "enabled",
  };
}
