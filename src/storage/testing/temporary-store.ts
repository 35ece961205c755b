import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openFileStore } from "../file/file-store.ts";
import type { ObjectStore } from "../object-store.ts";

/** A directory store over a fresh directory that goes away with the test: the quickest real store there is. */
export async function temporaryStore(): Promise<ObjectStore> {
  const root = await mkdtemp(join(tmpdir(), "tidemark-store-"));
  onTestFinished(async () => rm(root, { recursive: true, force: true }));
  return openFileStore({ root });
}
