/** Turns what the file system says into the port's errors: the one place where `errno` names are judged. */
import { EngineError, fileError, systemErrorCode } from "../../common/errors.ts";

/** Answers of a network file system, or of an exhausted process, that can go away by themselves. */
const passing = new Set([
  "ESTALE",
  "ETIMEDOUT",
  "ENOTCONN",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "EAGAIN",
  "EMFILE",
  "ENFILE",
]);
/** What a disk, or a file system with checksums, says of what it cannot read or write any more. */
const failing = new Set(["EIO", "EBADMSG", "EUCLEAN", "ENODATA"]);
const refused = new Set(["EACCES", "EPERM", "EROFS"]);
const collision = new Set(["EISDIR", "ENOTDIR", "ENOTEMPTY"]);

/** `action` is a verb phrase (`write "wals/x"`); `root` the store's directory. EngineErrors pass unchanged. */
export function fileStoreError(action: string, root: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause;
  const code = systemErrorCode(cause) ?? "";
  const message = `could not ${action} in "${root}"`;
  if (refused.has(code)) {
    return new EngineError(
      "store-denied",
      `${message}: ${code === "EROFS" ? "read-only file system" : "permission denied"}`,
      {
        cause,
        hint: `Give the user this program runs as (uid ${process.getuid?.() ?? "unknown"}) read and write access to "${root}" and all below it.`,
      },
    );
  }
  if (collision.has(code)) {
    return new EngineError(
      "file-io",
      `${message}: a file stands where the key needs a directory, or the other way round`,
      {
        cause,
        hint: "A directory cannot hold both an object and objects below its name; move the one that is in the way.",
      },
    );
  }
  if (code === "ENAMETOOLONG") return new EngineError("usage", `${message}: the name is too long`, { cause });
  if (passing.has(code)) return new EngineError("store-unavailable", `${message}: ${code}`, { cause });
  // Of this store and not of this machine: another one may do better.
  if (failing.has(code)) {
    return new EngineError("store-unavailable", `${message}: ${code}, its disk may be failing`, {
      cause,
      details: { isUnreadable: true },
      hint: "Look at the kernel's log and at the health of the disk.",
    });
  }
  return fileError(`${action} in`, root, cause);
}

export function noDirectory(root: string): EngineError {
  return new EngineError("store-missing", `"${root}" is not a directory`, {
    hint: "Name the directory that holds, or shall hold, the backups.",
  });
}

export function rootMissing(root: string): EngineError {
  return new EngineError("store-missing", `directory "${root}" does not exist`, {
    hint: "Create it, or mount the file system it is on; a directory of backups is not created by guess.",
  });
}
