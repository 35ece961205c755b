import { signalOption, throwIfAborted } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { Measure } from "../codec/measure.ts";
import { backupPrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnusable } from "../repository/several-repositories.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import { judgeBackup } from "./backup-state.ts";
import type { HealProgress } from "./carry-out.ts";
import type { Damage, HealInventory } from "./inventory.ts";
import { verifyStoredWal, type WalExpectation } from "./verify-wal.ts";

const concurrency = 4;

interface Check {
  readonly repository: Repository;
  readonly key: string;
  readonly sizeBytes: number;
  /** Undefined when it is good. */
  readonly problem: () => Promise<string | undefined>;
}

/** Reads every part and every WAL file of these repositories to its end. Throws what the stores throw. */
export async function checkData(
  inventories: readonly HealInventory[],
  options: WalExpectation & {
    readonly onProgress?: ((progress: HealProgress) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Damage[]> {
  const { onProgress, signal } = options;
  const checks = inventories.flatMap((inventory) => [
    ...partChecks(inventory, signal),
    ...walChecks(inventory, options),
  ]);
  const totalBytes = checks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const found = await mapConcurrent(
    checks,
    concurrency,
    async ({ repository, key, sizeBytes, problem }): Promise<Damage[]> => {
      const reason = await problem();
      doneBytes += sizeBytes;
      onProgress?.({ doneBytes, totalBytes });
      return reason === undefined ? [] : [{ repository: repository.name, key, reason }];
    },
    signal,
  );
  return found.flat();
}

function partChecks(inventory: HealInventory, signal: AbortSignal | undefined): Check[] {
  const { repository } = inventory;
  return [...inventory.backups.values()].flatMap((backup) => {
    const { manifest } = judgeBackup(inventory, backup, []);
    return (manifest?.parts ?? []).flatMap(({ name, storedBytes, sha256 }): Check[] => {
      // Another size shows without reading.
      if (backup.objects.get(name) !== storedBytes) return [];
      const key = `${backupPrefix(repository.server, backup.id)}${name}`;
      const problem = async () => problemOfPart(repository, key, sha256, signal);
      return [{ repository, key, sizeBytes: storedBytes, problem }];
    });
  });
}

async function problemOfPart(
  { store }: Repository,
  key: string,
  sha256: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  return whyCorrupt(async () => {
    const measure = new Measure({ sha256: true });
    const opened = await store.get(key, signalOption(signal));
    if (opened === undefined) return "it is gone";
    for await (const chunk of opened.body) measure.update(chunk);
    const found = measure.result().sha256;
    return found === sha256 ? undefined : `its SHA-256 is ${found}, but the manifest says ${sha256}`;
  }, signal);
}

function walChecks(
  { repository, wal }: HealInventory,
  options: WalExpectation & { readonly signal?: AbortSignal | undefined },
): Check[] {
  return [...wal.values()].flat().map((object: WalObject): Check => {
    const { key, sizeBytes } = object;
    const problem = async () =>
      whyCorrupt(async () => {
        await verifyStoredWal(repository, object, options, options.signal);
        return undefined;
      }, options.signal);
    return { repository, key, sizeBytes, problem };
  });
}

async function whyCorrupt(
  check: () => Promise<string | undefined>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    throwIfAborted(signal);
    if (isUnusable(error)) return error.message;
    throw error;
  }
}
