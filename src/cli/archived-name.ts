import { EngineError } from "../common/errors.ts";
import { parseKindArguments } from "./kind-arguments.ts";

/** What has an archive, as commands name it. */
export interface ArchivedName {
  readonly kind: "Cluster" | "Server";
  readonly name: string;
}

/** Reads `pg` and `cluster/pg`, which are the same, and `server/main`. Throws `usage`. */
export function parseArchivedName(text: string): ArchivedName {
  if (!text.includes("/")) return { kind: "Cluster", name: text };
  const [request] = parseKindArguments([text]);
  const [name = ""] = request?.names ?? [];
  const kind = request?.kind.kind;
  if (kind === "Cluster" || kind === "Server") return { kind, name };
  throw new EngineError("usage", `"${text}" names neither a Cluster nor a Server`, {
    hint: "Name a Cluster by its name, or a Server as server/NAME.",
  });
}
