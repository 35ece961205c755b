import { fileURLToPath } from "node:url";
import { badUrl } from "../url-parts.ts";

/** The directory that a `file:///path` URL names. Throws `usage`. */
export function parseFileUrl(url: string, parsed: URL): string {
  if (parsed.host !== "" || parsed.search !== "" || parsed.hash !== "") {
    throw badUrl(
      url,
      "is not a file URL with a path alone",
      "Write it with three slashes: file:///srv/backup.",
    );
  }
  try {
    return fileURLToPath(parsed);
  } catch {
    // An escape that is none, or of a slash.
    const hint = "A % in the path is written %25; or write a plain path.";
    throw badUrl(url, "has a path that cannot be read", hint);
  }
}
