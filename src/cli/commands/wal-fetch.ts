import { resolve } from "node:path";
import { fetchWalFile } from "../../archive/wal-file.ts";
import { EngineError } from "../../common/errors.ts";
import { openContext } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";

interface WalFetchOptions extends RepositoryOptions {
  readonly partial?: boolean;
}

/** `tidemark wal fetch`: `restore_command` without prefetch. Exit statuses: see `exit-status.ts`. */
export async function run(
  name: string,
  destination: string,
  options: WalFetchOptions,
  signal: AbortSignal,
): Promise<void> {
  await using context = await openContext({ logLevel: "warn", ...options }, signal);
  const request = { destination: resolve(destination), repositories: context.repositories, signal };
  const whole = await fetchWalFile({ ...request, name });
  if (whole.kind === "delivered") return;
  if (options.partial === true && !name.includes(".")) {
    const partial = await fetchWalFile({ ...request, name: `${name}.partial` });
    if (partial.kind === "delivered") return;
  }
  const where = context.repositories.map(({ store }) => store.url).join(", ");
  throw new EngineError("wal-absent", `WAL file "${name}" of "${context.server}" is not in ${where}`);
}
