import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { EngineError } from "../common/errors.ts";
import { parseStoreUrl } from "../storage/open-store.ts";
import type { ClaimedPlace } from "./claim-note.ts";
import type { RepositorySettings } from "./repository-settings.ts";
import type { ServerName } from "./server-name.ts";

/** The same place has one form, however its URL was written. Throws `usage` for what is no URL of a store. */
export function placeOf(settings: RepositorySettings): Pick<ClaimedPlace, "url" | "endpoint"> {
  const location = parseStoreUrl(settings.url);
  if (location.kind === "file") return { url: resolve(location.root) };
  const { prefix = "", endpoint = settings.endpoint } = location.options;
  const at = endpoint === undefined ? {} : { endpoint };
  switch (location.kind) {
    case "s3":
      return { url: `s3://${location.options.bucket}/${prefix}`, ...at };
    case "gcs":
      return { url: `gs://${location.options.bucket}/${prefix}`, ...at };
    case "azure":
      return { url: `azure://${location.options.account}/${location.options.container}/${prefix}`, ...at };
  }
}

/**
 * Two repositories of one server in one place are one copy, which its owner takes for two. Throws `config` naming them; links that
 * lead to one directory are followed.
 */
export async function requireDifferentPlaces(
  settings: readonly (RepositorySettings & { readonly name: string })[],
  usualServer: ServerName,
): Promise<void> {
  const seen = new Map<string, string>();
  for (const entry of settings) {
    const { url, endpoint = "" } = placeOf(entry);
    const real = url.startsWith("/") ? await realpath(url).catch(() => url) : url;
    const key = JSON.stringify([real, endpoint.replace(/\/+$/, ""), entry.server ?? usualServer]);
    const other = seen.get(key);
    if (other !== undefined) {
      throw new EngineError("config", `"${other}" and "${entry.name}" are the same repository`, {
        hint: "One place holds one copy. Give one of them another place, or another server name.",
      });
    }
    seen.set(key, entry.name);
  }
}
