import { runProgram, type ProgramResult } from "../../src/postgres/server-process.ts";
import { chooseServerUser } from "../../src/postgres/unprivileged-user.ts";
import type { ArchivedServer } from "./archived-server.ts";
import type { S3Place } from "./s3-place.ts";

type BarmanTool =
  | "backup"
  | "backup-delete"
  | "backup-keep"
  | "backup-list"
  | "backup-show"
  | "check-wal-archive"
  | "restore"
  | "wal-archive"
  | "wal-restore";

/**
 * Runs `barman-cloud-<tool> [options] URL SERVER [rest]` as the server's user, as CloudNativePG and Barman's manual do.
 * A non-zero status is a result.
 */
export async function barmanCloud(
  place: S3Place,
  tool: BarmanTool,
  server: string,
  {
    options = [],
    rest = [],
  }: { readonly options?: readonly string[]; readonly rest?: readonly string[] } = {},
): Promise<ProgramResult> {
  const args = ["--endpoint-url", place.endpoint, ...options, place.url, server, ...rest];
  return runProgram(`barman-cloud-${tool}`, args, {
    environment: place.environment,
    timeoutMs: 240_000,
    user: await chooseServerUser(),
  });
}

/** The same for a run that must succeed: its standard output. */
export async function barmanCloudOutput(...given: Parameters<typeof barmanCloud>): Promise<string> {
  const { code, stdout, stderr } = await barmanCloud(...given);
  if (code !== 0) throw new Error(`barman-cloud-${given[1]} ended with ${code}: ${stderr}`);
  return stdout;
}

/** A backup as `barman-cloud-backup-list --format json` shows it; only what tests look at. */
export interface BarmanBackup {
  readonly backup_id: string;
  readonly backup_name?: string;
  readonly status: string;
  readonly begin_wal: string;
  readonly end_wal: string;
  readonly systemid: string;
  readonly timeline: number;
  readonly tablespaces: readonly (readonly [string, number, string])[] | null;
}

export async function barmanBackups(place: S3Place, server: string): Promise<readonly BarmanBackup[]> {
  const text = await barmanCloudOutput(place, "backup-list", server, { options: ["--format", "json"] });
  return (JSON.parse(text) as { readonly backups_list: readonly BarmanBackup[] }).backups_list;
}

/** The value for `archive_command` or `restore_command`; credentials come from the server's environment. */
export function barmanWalCommand(
  place: S3Place,
  tool: "wal-archive" | "wal-restore",
  server: string,
  options: readonly string[] = [],
): string {
  const rest = tool === "wal-archive" ? ["%p"] : ["%f", "%p"];
  return [
    `barman-cloud-${tool}`,
    "--endpoint-url",
    place.endpoint,
    ...options,
    place.url,
    server,
    ...rest,
  ].join(" ");
}

/** Takes a backup with `barman-cloud-backup`; returns its ID. */
export async function barmanBackup(
  { pg, name, place }: Pick<ArchivedServer, "pg" | "name" | "place">,
  options: readonly string[] = [],
): Promise<string> {
  const { host, port, user } = pg.server.connection;
  const before = new Set((await barmanBackups(place, name)).map(({ backup_id }) => backup_id));
  await barmanCloudOutput(place, "backup", name, {
    options: ["--immediate-checkpoint", "-h", host, "-p", String(port), "-U", user, ...options],
  });
  const id = (await barmanBackups(place, name)).find(({ backup_id }) => !before.has(backup_id))?.backup_id;
  if (id === undefined) throw new Error("barman-cloud-backup succeeded, but there is no new backup");
  return id;
}
