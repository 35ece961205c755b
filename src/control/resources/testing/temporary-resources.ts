import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { systemClock, type Clock } from "../../../common/clock.ts";
import { createLog } from "../../../common/log.ts";
import type { ResourceStore } from "../resource-store.ts";
import { openResourceStore } from "../sqlite-resource-store.ts";

export interface TemporaryResources {
  readonly folder: string;
  readonly path: string;
  readonly keyFile: string;
  /** What stores have logged, `level: message`. Empty it, or the test fails at its end. */
  readonly lines: string[];
  /** Opens the store in the folder; at the end of the test it is closed. */
  open(clock?: Clock): Promise<ResourceStore>;
}

/** A folder for a store, until the end of the test. In memory unless `parent` says otherwise: a sync costs nothing then. */
export async function temporaryResources(parent = "/dev/shm"): Promise<TemporaryResources> {
  const folder = await mkdtemp(join(parent, "tidemark-resources-"));
  const lines: string[] = [];
  const stores: ResourceStore[] = [];
  onTestFinished(async () => {
    for (const store of stores) store[Symbol.dispose]();
    await rm(folder, { recursive: true });
    expect(lines).toEqual([]);
  });
  const places = { path: join(folder, "resources.db"), keyFile: join(folder, "resources.key") };
  const log = createLog((level, message, { error }) => lines.push(`${level}: ${message}: ${error}`));
  return {
    folder,
    ...places,
    lines,
    open: async (clock = systemClock) => {
      const store = await openResourceStore({ ...places, clock, log });
      stores.push(store);
      return store;
    },
  };
}

/** On a real disk. */
export async function resourcesOnDisk(): Promise<TemporaryResources> {
  return temporaryResources(tmpdir());
}
