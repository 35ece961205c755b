import { corruptData } from "../corrupt.ts";

/**
 * A member's name as a path below the directory it is unpacked into: `./a//b/` gives `a/b`, the root gives `.`.
 * Absolute names, `..` steps, NUL bytes and the empty name throw `object-corrupt`: no archive of a data directory has
 * them, and they would reach outside. (Symbolic links that were unpacked before are the caller's to watch.)
 */
export function safeTarPath(name: string): string {
  const steps = name.split("/").filter((step) => step !== "" && step !== ".");
  const reason = name.startsWith("/")
    ? "is absolute"
    : name === ""
      ? "is empty"
      : name.includes("\0")
        ? "contains a NUL byte"
        : steps.includes("..")
          ? "leads out of the directory"
          : undefined;
  if (reason !== undefined) throw corruptData("tar", `the name ${JSON.stringify(name)} ${reason}`);
  return steps.length === 0 ? "." : steps.join("/");
}
