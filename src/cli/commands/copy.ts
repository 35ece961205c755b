import { systemClock } from "../../common/clock.ts";
import { mapConcurrent } from "../../common/concurrency.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { BackupId } from "../../repository/backup-id.ts";
import { findBackup, readCatalogue } from "../../repository/catalogue.ts";
import { holdsPlainObjects } from "../../repository/encryption/keys-object.ts";
import {
  closeRepositories,
  nameRepositories,
  openBareRepositories,
  openRepositories,
  type OpenRepositoriesOptions,
  type NamedSettings,
} from "../../repository/open-repositories.ts";
import { requireDifferentPlaces } from "../../repository/repository-place.ts";
import { describeRepository, type Repository } from "../../repository/repository.ts";
import { parseServerName, type ServerName } from "../../repository/server-name.ts";
import { findSpoolDirectory } from "../agent-options.ts";
import type { Config } from "../config.ts";
import { confirm } from "../confirm.ts";
import {
  createCommandLog,
  encryptionFromFlags,
  repositoryFromFlags,
  requireServerName,
  resolveConfig,
} from "../context.ts";
import { planAndHeal } from "../heal-run.ts";
import type { RepositoryOptions } from "../options.ts";
import { parseOutputFormat } from "../output.ts";
import { becomeServerUser } from "../privileges.ts";

interface CopyOptions extends RepositoryOptions {
  readonly toServer?: string;
  readonly backup: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `tidemark copy`: fills a repository with the backups of another one, and their WAL up to now. */
export async function run(
  from: string,
  to: string,
  options: CopyOptions,
  signal: AbortSignal,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const config = await resolveConfig(options);
  const server = requireServerName(config);
  await becomeServerUser(config.postgres?.dataDirectory);
  const log = createCommandLog({ logLevel: "warn", ...options });
  const toServer = options.toServer === undefined ? undefined : parseServerName(options.toServer);
  await using places = await openPlaces({ from, to, toServer, server, config, options, log, signal });
  const { source, target } = places;
  const wanted = await wantedBackups(source, options.backup, signal);
  await planAndHeal(
    {
      repositories: [source, target],
      targets: new Set([target.name]),
      expires: () => false,
      isWanted: (id) => wanted.has(id),
      settledMs: 0,
      mustAgree: true,
      clock: systemClock,
      log,
      signal,
    },
    {
      format,
      dryRun: options.dryRun === true,
      ask: async () => confirm(`Copy this to ${describeRepository(target)}?`, options, signal),
    },
  );
}

interface Places extends AsyncDisposable {
  readonly source: Repository;
  readonly target: Repository;
}

async function openPlaces(given: {
  readonly from: string;
  readonly to: string;
  readonly toServer: ServerName | undefined;
  readonly server: ServerName;
  readonly config: Config;
  readonly options: CopyOptions;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<Places> {
  const { server, toServer, config, log, signal } = given;
  const from = settingsOf(given.from, "source", given);
  const to = settingsOf(given.to, "target", given);
  const placed = [
    { ...from, name: given.from },
    { ...to, name: given.to, ...(toServer === undefined ? {} : { server: toServer }) },
  ];
  await requireDifferentPlaces(placed, server).catch((error: unknown) => {
    if (!isEngineError(error, "config")) throw error;
    throw new EngineError("usage", error.message, {
      hint: "Give the target another place, or another server name (--to-server).",
    });
  });
  const opened = [...(await openSource(from, { server, log, access: { kind: "read" }, signal }))];
  try {
    const settings = [toServer === undefined ? to : { ...to, server: toServer }];
    // Of a place that is archived to it is known whether it was begun, and only its disk is not mounted.
    const spoolDirectory = to.name === given.to ? findSpoolDirectory({}, config) : undefined;
    const access = { kind: "write", spoolDirectory } as const;
    opened.push(...(await openRepositories({ settings, server, log, access, signal })));
    const [source, target] = opened;
    if (source === undefined || target === undefined) throw new EngineError("internal", "two were opened");
    return { source, target, [Symbol.asyncDispose]: async () => closeRepositories(opened) };
  } catch (error) {
    await closeRepositories(opened);
    throw error;
  }
}

/** Opens the source, as a plain one where it is. The key on a command line may be meant for the target alone. */
async function openSource(
  from: NamedSettings,
  options: Omit<OpenRepositoriesOptions, "settings">,
): Promise<readonly Repository[]> {
  const { encryption, ...plain } = from;
  if (encryption === undefined) return openRepositories({ ...options, settings: [from] });
  const bare = await openBareRepositories({ ...options, settings: [plain] });
  try {
    const isPlain = await mapConcurrent(bare, 1, async (each) => holdsPlainObjects(each, options.signal));
    return await openRepositories({ ...options, settings: [isPlain.includes(true) ? plain : from] });
  } finally {
    await closeRepositories(bare);
  }
}

/** A name in the configuration, else a URL; for the latter the options count that describe a store. */
function settingsOf(
  text: string,
  role: "source" | "target",
  { config, options }: { readonly config: Config; readonly options: CopyOptions },
): NamedSettings {
  const known = nameRepositories(config.repositories ?? []).find(({ name }) => name === text);
  if (known !== undefined) return known;
  const encryption = encryptionFromFlags(options);
  return {
    ...repositoryFromFlags(text, options),
    // What is called so in the configuration is another one.
    name: config.repositories?.some(({ name }) => name === role) === true ? text : role,
    ...(encryption === undefined ? {} : { encryption }),
  };
}

/** Throws `backup-absent` for one that is not there. */
async function wantedBackups(
  source: Repository,
  wanted: string,
  signal: AbortSignal,
): Promise<ReadonlySet<BackupId>> {
  const catalogue = await readCatalogue(source, signal);
  if (wanted === "all") return new Set(catalogue.map(({ id }) => id));
  return new Set([findBackup(source, catalogue, wanted).id]);
}
