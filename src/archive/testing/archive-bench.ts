import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { silentLog } from "../../common/log.ts";
import { mib } from "../../common/units.ts";
import type { Repository } from "../../repository/repository.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { ArchiveTarget } from "../archive-target.ts";
import { pushWal, type PushReport } from "../push-wal.ts";
import { ReadBuffers } from "../read-buffers.ts";
import { WalEncoder } from "../encode-wal.ts";
import { RepositoryClaims } from "../repository-claims.ts";
import { requireWalFileName } from "../wal-file.ts";
import { testSystem } from "./wal-files.ts";

/** A folder that goes away with the test. */
export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark archive's "));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

export function testRepository(store: ObjectStore, name = "main"): Repository {
  return { name, server: parseServerName("pg1"), store, log: silentLog };
}

export const expectedSystem = { systemIdentifier: testSystem, walSegmentSizeBytes: mib };

/** Pushes one file as a process of its own would: nothing is remembered from call to call. */
export async function pushOnce(
  targets: readonly ArchiveTarget[],
  path: string,
  expected = expectedSystem,
): Promise<PushReport> {
  const file = requireWalFileName(path.slice(path.lastIndexOf("/") + 1));
  const context = {
    claims: new RepositoryClaims(),
    buffers: new ReadBuffers(),
    encoder: new WalEncoder(),
    log: silentLog,
  };
  return pushWal(context, { path, file, targets, expected });
}

export async function writeWal(folder: string, name: string, content: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
