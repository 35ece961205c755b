import { chmod, chown, cp, lstat, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import type { ServerBinaries } from "./server-binaries.ts";
import type { ServerUser } from "./server-process.ts";
import { canAccess, closedDirectory, type Access } from "./unprivileged-user.ts";

/**
 * A checkout below /root (mode 0700) holds npm's PostgreSQL where the unprivileged server user cannot reach it. Then
 * root copies it once to a folder that everyone may read and only root may write, and runs the copy. PostgreSQL finds
 * its libraries and its share folder relative to the program, so a copied tree works as it is.
 */

/**
 * Server programs that `user` can run: the given ones, or a copy.
 *
 * @throws EngineError `postgres-missing` when they are out of the user's reach and not ours to copy (installed by other
 * means than npm), naming the folder that is closed.
 */
export async function binariesReachableBy(
  user: ServerUser | undefined,
  binaries: ServerBinaries,
  cacheRoots: readonly string[] = ["/var/cache/tidemark", tmpdir()],
): Promise<ServerBinaries> {
  if (user === undefined || (await canAccess(user, neededFiles(binaries)))) return binaries;
  if (binaries.source !== "npm") {
    const closed = (await closedDirectory(user, join(binaries.directory, "postgres"))) ?? binaries.directory;
    throw new EngineError(
      "postgres-missing",
      `user "${user.name}" cannot run "${binaries.directory}/postgres": "${closed}" is closed to it`,
      {
        hint: `PostgreSQL refuses to run as root, so it runs as "${user.name}". Open the folder to it (chmod o+x), or install PostgreSQL elsewhere.`,
      },
    );
  }
  const copy = await copyToCache(dirname(binaries.directory), binaries, cacheRoots);
  const reachable = { ...binaries, directory: join(copy, "bin") };
  if (await canAccess(user, neededFiles(reachable))) return reachable;
  throw new EngineError("postgres-missing", `user "${user.name}" cannot run the copy in "${copy}"`, {
    hint: "The file system may be mounted with noexec. Install PostgreSQL from your distribution instead.",
  });
}

function neededFiles({ directory, source }: ServerBinaries): { path: string; access: Access }[] {
  const needed: { path: string; access: Access }[] = ["postgres", "initdb"].map((name) => ({
    path: join(directory, name),
    access: "x",
  }));
  // A restrictive umask at install time leaves the data files unreadable even where the programs can be run.
  if (source === "npm") {
    needed.push({ path: join(directory, "..", "share", "postgresql", "postgres.bki"), access: "r" });
  }
  return needed;
}

async function copyToCache(
  installation: string,
  binaries: ServerBinaries,
  roots: readonly string[],
): Promise<string> {
  const name = `tidemark-postgres-${binaries.version}-${await fingerprint(binaries)}`;
  let failure: unknown;
  for (const root of roots) {
    try {
      const target = join(root, name);
      // Explicit, because our umask may be stricter.
      if ((await mkdir(root, { recursive: true })) !== undefined) await chmod(root, 0o755);
      if (!(await isOurs(target))) await copyTree(installation, root, target);
      return target;
    } catch (error) {
      // A read-only /var/cache is no reason to give up: the next root may do.
      failure = error;
    }
  }
  throw fileError("copy PostgreSQL's programs to", roots.join('" or "'), failure);
}

/** Another build of the same version must not be taken for this one. */
async function fingerprint({ directory }: ServerBinaries): Promise<string> {
  const { size, mtimeMs } = await stat(join(directory, "postgres"));
  return createHash("sha256").update(`${directory}\n${size}\n${mtimeMs}`).digest("hex").slice(0, 12);
}

/**
 * Whether `path` is a finished copy that only root can have made. In a world-writable root such as /tmp anyone may
 * take the name first; running what they put there as the database's user would be an open door.
 */
async function isOurs(path: string): Promise<boolean> {
  try {
    const info = await lstat(path);
    if (info.isDirectory() && info.uid === process.getuid?.() && (info.mode & 0o022) === 0) return true;
    throw new EngineError("file-io", `"${path}" exists but is not a folder that only we can write`, {
      hint: "Remove it; nobody but root should have created it.",
    });
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** Copies under a private name and renames, so the final name only ever holds a complete tree. */
async function copyTree(from: string, root: string, target: string): Promise<void> {
  const unfinished = await mkdtemp(join(root, ".tidemark-postgres-"));
  try {
    const tree = join(unfinished, "tree");
    await cp(from, tree, { recursive: true, verbatimSymlinks: true });
    await openToReaders(tree);
    await rename(tree, target);
  } catch (error) {
    // Someone else finished the same copy first: as good as ours.
    const lostRace = ["ENOTEMPTY", "EEXIST"].includes(systemErrorCode(error) ?? "");
    if (!lostRace || !(await isOurs(target))) throw error;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function openToReaders(path: string): Promise<void> {
  const info = await lstat(path);
  if (info.isSymbolicLink()) return;
  // npm keeps the packer's uid in some set-ups; a copy belongs to whoever made it.
  if (info.uid !== process.getuid?.()) await chown(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  const executable = info.isDirectory() || (info.mode & 0o100) !== 0;
  await chmod(path, executable ? 0o755 : 0o644);
  if (!info.isDirectory()) return;
  for (const name of await readdir(path)) await openToReaders(join(path, name));
}
