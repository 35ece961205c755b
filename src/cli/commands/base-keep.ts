import { keepBackup, releaseKeep } from "../../backup/keep.ts";
import { EngineError } from "../../common/errors.ts";
import { findBackup, readCatalogue } from "../../repository/catalogue.ts";
import { openContext } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";
import { formatJson, parseOutputFormat } from "../output.ts";

interface BaseKeepOptions extends RepositoryOptions {
  readonly target: string;
  readonly release?: boolean;
}

/** `tidemark base keep`: in every repository that holds the backup; it must be in the first. */
export async function run(wanted: string, options: BaseKeepOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const { target } = options;
  if (target !== "full" && target !== "standalone") {
    throw new EngineError("usage", `--target is "${target}"`, { hint: "Use full or standalone." });
  }
  await using context = await openContext(options, signal);
  const { id } = findBackup(
    context.firstRepository,
    await readCatalogue(context.firstRepository, signal),
    wanted,
  );
  const done: string[] = [];
  for (const repository of context.repositories) {
    const catalogue = await readCatalogue(repository, signal);
    if (!catalogue.some((entry) => entry.id === id)) continue;
    if (options.release === true) await releaseKeep(repository, id, signal);
    else await keepBackup(repository, id, target, signal);
    done.push(repository.name);
  }
  const keep = options.release === true ? null : target;
  if (format === "json") process.stdout.write(formatJson({ id, keep, repositories: done }));
  else
    process.stdout.write(
      `${id}: ${keep === null ? "keep mark removed" : `kept (${keep})`} in ${done.join(", ")}\n`,
    );
}
