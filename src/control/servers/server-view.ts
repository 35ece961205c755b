import type { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { server } from "../../manifest/kinds/server.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";

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
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new EngineError(
      "manifest",
      `${formatKey(key)} cannot be understood: spec.${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`,
      { hint: "Apply its manifest again; tidemark lint says what is wrong with it." },
    );
  }
  return {
    resource,
    key,
    spec: parsed.data,
    skipsEmptyArchiveCheck: resource.metadata.annotations["cnpg.io/skipEmptyWalArchiveCheck"] === "enabled",
  };
}
