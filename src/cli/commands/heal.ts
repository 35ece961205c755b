import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { nameRepositories } from "../../repository/open-repositories.ts";
import { requireDifferentPlaces } from "../../repository/repository-place.ts";
import { findSpoolDirectory } from "../agent-options.ts";
import { openContext, requireServerName, resolveConfig } from "../context.ts";
import { planAndHeal } from "../heal-run.ts";
import type { RepositoryOptions } from "../options.ts";
import { parseOutputFormat } from "../output.ts";
import { becomeServerUser } from "../privileges.ts";

interface HealCommandOptions extends RepositoryOptions {
  readonly dryRun?: boolean;
  readonly checkData?: boolean;
  readonly repository?: readonly string[];
}

/** `tidemark heal`: copies to each repository what it lacks or has damaged, from another one. */
export async function run(options: HealCommandOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const config = await resolveConfig(options);
  // What is written must be readable for the agent and the server.
  await becomeServerUser(config.postgres?.dataDirectory);
  await requireDifferentPlaces(nameRepositories(config.repositories ?? []), requireServerName(config));
  // Read, so that no directory is made that is not there; with the notes of what was begun, so that no empty mount point is filled.
  const spoolDirectory = findSpoolDirectory({}, config);
  const access = { kind: "read", allowMissing: true, spoolDirectory } as const;
  await using context = await openContext({ logLevel: "warn", ...options }, signal, access);
  const { repositories, log } = context;
  if (repositories.length < 2) {
    throw new EngineError("usage", "there is only one repository, and nothing to copy from", {
      hint: "Name two or more in the configuration file, or with --repo.",
    });
  }
  const names = repositories.map(({ name }) => name);
  const unknown = options.repository?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new EngineError("usage", `there is no repository "${unknown}"`, {
      hint: `They are called ${names.join(", ")}.`,
    });
  }
  await planAndHeal(
    {
      repositories,
      targets: new Set(options.repository ?? names),
      checkData: options.checkData === true,
      mustAgree: true,
      clock: systemClock,
      log,
      signal,
    },
    { format, dryRun: options.dryRun === true },
  );
}
