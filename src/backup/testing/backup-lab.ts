import { execFile } from "node:child_process";
import { mkdir, readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { systemClock } from "../../common/clock.ts";
import { createLog, type Log, type LogLevel } from "../../common/log.ts";
import {
  serveTestCluster,
  testFolder,
  testServer,
  type TestFolder,
  type TestServer,
  type TestServerOptions,
} from "../../postgres/testing/test-server.ts";
import type { BackupId } from "../../repository/backup-id.ts";
import { readCatalogueEntry } from "../../repository/catalogue.ts";
import { readBackupManifest } from "../../repository/backup-manifest.ts";
import type { Repository } from "../../repository/repository.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { BackupOptions } from "../backup-options.ts";
import { smallParts } from "./small-parts.ts";
import type { BackupResult } from "../backup-result.ts";
import { createBackup, type CreateBackupRequest } from "../create-backup.ts";

/** A real server that archives with `cp` into a repository on disk, for tests of backups. */

const run = promisify(execFile);

export interface LoggedLine {
  readonly level: LogLevel;
  readonly message: string;
}

/** One repository on disk. */
export interface LabRepository {
  readonly storeRoot: string;
  readonly store: ObjectStore;
  readonly repository: Repository;
}

export interface BackupLab extends LabRepository, AsyncDisposable {
  readonly server: TestServer;
  /** With `repositories: 2`, another one that gets all WAL too. */
  readonly second: LabRepository;
  readonly log: Log;
  readonly lines: LoggedLine[];
  backUp(options?: BackupOptions, request?: Partial<CreateBackupRequest>): Promise<BackupResult>;
}

export async function backupLab(
  options: TestServerOptions & { readonly repositories?: 1 | 2 } = {},
): Promise<BackupLab> {
  const { repositories: count = 1, ...serverOptions } = options;
  const folder = await testFolder();
  const lines: LoggedLine[] = [];
  const log = createLog((level, message) => lines.push({ level, message }));
  const labs: LabRepository[] = [];
  for (const name of ["main", "second"].slice(0, count)) labs.push(await makeRepository(folder, name, log));
  const commands = labs.map(({ storeRoot }) => `(${archiveCommand(join(storeRoot, "pg1/wals"))})`);
  const server = await testServer({
    ...serverOptions,
    settings: { archive_mode: "on", archive_command: commands.join(" && "), ...serverOptions.settings },
  });
  const [main, second] = labs;
  if (main === undefined) throw new Error("there is no repository");
  return {
    ...main,
    get second() {
      if (second === undefined) throw new Error("the lab was made with one repository");
      return second;
    },
    server,
    log,
    lines,
    backUp: async (given, request) => {
      await using connection = await server.connect();
      return await createBackup({
        repositories: labs.map(({ repository }) => repository),
        connection,
        options: { ...smallParts, ...given },
        clock: systemClock,
        log,
        ...request,
      });
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function makeRepository(folder: TestFolder, name: string, log: Log): Promise<LabRepository> {
  const storeRoot = await folder.make(name);
  await folder.make(join(name, "pg1/wals"));
  const store = await openFileStore({ root: storeRoot });
  return { storeRoot, store, repository: { name, server: parseServerName("pg1"), store, log } };
}

/** Plain `cp` into Barman's layout, whole or not at all. */
export function archiveCommand(wals: string): string {
  return `f=%f; case $f in *.history) d=${wals};; *) d=${wals}/$(echo $f | cut -c1-16);; esac; mkdir -p $d && cp %p $d/$f.tmp && mv $d/$f.tmp $d/$f`;
}

export function restoreCommand(wals: string): string {
  return `f=%f; case $f in *.history) d=${wals};; *) d=${wals}/$(echo $f | cut -c1-16);; esac; cp $d/$f %p`;
}

/** Unpacks a backup by hand, with `tar` and `zstd`, as docs/recover-by-hand.md says. */
export async function unpackByHand(
  lab: Pick<LabRepository, "repository" | "storeRoot">,
  id: BackupId,
  target: string,
  tablespaceTargets: Readonly<Record<number, string>> = {},
): Promise<void> {
  const folder = join(lab.storeRoot, lab.repository.server, "base", id);
  const entry = await readCatalogueEntry(lab.repository, id);
  if (entry.kind !== "done") throw new Error(`backup ${id} is ${entry.kind}`);
  const manifest = await readBackupManifest(lab.repository, id);
  for (const part of manifest?.parts ?? []) {
    const to = part.archive === "data" ? target : (tablespaceTargets[Number(part.archive)] ?? "");
    await mkdir(to, { recursive: true });
    const codec = part.name.endsWith(".zst") ? ["--zstd"] : part.name.endsWith(".gz") ? ["--gzip"] : [];
    await run("tar", [...codec, "-xf", join(folder, part.name), "-C", to]);
  }
  for (const { oid } of entry.info.tablespaces) {
    await symlink(tablespaceTargets[oid] ?? "", join(target, "pg_tblspc", String(oid)));
  }
}

/** Starts a server on an unpacked backup and waits until it has recovered to the end of the archive. */
export async function serveRestored(
  lab: BackupLab,
  folder: TestFolder,
  dataDirectory: string,
): Promise<TestServer> {
  await writeFile(join(dataDirectory, "recovery.signal"), "");
  await run("chown", ["-R", "--reference", lab.server.dataDirectory, dataDirectory]);
  // What the source was told on its command line or in files of its own does not matter here.
  const own = (await readdir(dataDirectory)).filter((name) => name === "postgresql.auto.conf");
  for (const name of own) await rename(join(dataDirectory, name), join(dataDirectory, `${name}.source`));
  const restored = await serveTestCluster({
    folder,
    dataDirectory,
    binaries: lab.server.binaries,
    settings: {
      archive_mode: "off",
      restore_command: restoreCommand(join(lab.storeRoot, "pg1/wals")),
    },
  });
  const recovering = "SELECT pg_is_in_recovery() AS yes";
  while ((await restored.sql<{ yes: boolean }>(recovering))[0]?.yes === true) await setTimeout(20);
  return restored;
}
