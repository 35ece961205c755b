import { z } from "zod";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import type { BacklogEntry } from "./backlog.ts";
import type { Findings } from "./findings.ts";
import type { Owed, OwedBook } from "./owed-book.ts";
import type { RepositoryLanes } from "./repository-lanes.ts";

/** How one repository stands; times are ISO 8601. What an older agent does not say is optional. */
export const repositoryStatusSchema = z.object({
  name: z.string(),
  url: z.string(),
  server: z.string(),
  state: z.enum(["ok", "failing"]),
  failures: z.number(),
  /** The last failure, while there is one. */
  error: z.object({ code: z.string(), message: z.string(), at: z.string() }).optional(),
  failingSince: z.string().optional(),
  /** Files that were acknowledged without this repository, as the policy allows, and that it still lacks. */
  owedFiles: z.number(),
  /** Files that it lacks besides, as a comparison with the other repositories' listings found. */
  missingFiles: z.number().optional(),
  /** The newest segment that it is known to have, and since when. */
  lastStored: z.object({ name: z.string(), at: z.string() }).optional(),
  /** All that it lacks: what waits for its first repository, what it is owed, what is missing. In WAL, uncompressed. */
  lagFiles: z.number().optional(),
  lagBytes: z.number().optional(),
  /** Files that are being sent to it just now. */
  onTheWayFiles: z.number().optional(),
  /** Whether it works, and gets what it lacks from pg_wal or another repository. */
  isHealing: z.boolean().optional(),
});

export type RepositoryStatus = z.infer<typeof repositoryStatusSchema>;

/** How an agent's repository stands. Pure, but for what the parts remember. */
export function repositoryStatus(
  { repository }: ArchiveTarget,
  from: {
    readonly lanes: RepositoryLanes;
    readonly book: OwedBook;
    readonly owed: readonly Owed[];
    readonly findings: Findings;
    readonly waiting: readonly BacklogEntry[];
    readonly segmentSizeBytes: number;
  },
): RepositoryStatus {
  const { name, server, store } = repository;
  const { lanes, book, owed, findings, waiting, segmentSizeBytes } = from;
  const lane = lanes.get(name);
  const health = lane?.health.report();
  const { error, failingSince } = health ?? {};
  const notes = owed.filter(({ repositories }) => repositories.includes(name));
  const noted = new Set(notes.map(({ file }) => file.name));
  const both = findings.missing(name).filter((file) => noted.has(file.name)).length;
  const owedFiles = notes.length + book.unnoted(name);
  const missingFiles = findings.missingFiles(name) - both;
  const live = waiting.filter(({ done }) => !done.has(name)).length;
  const lagFiles = live + owedFiles + missingFiles;
  return {
    name,
    url: store.url,
    server,
    state: health?.state ?? "ok",
    failures: health?.failures ?? 0,
    ...(error === undefined
      ? {}
      : { error: { code: error.code, message: error.message, at: error.at.toISOString() } }),
    ...(failingSince === undefined ? {} : { failingSince: failingSince.toISOString() }),
    owedFiles,
    missingFiles,
    ...(lane?.lastStored === undefined
      ? {}
      : { lastStored: { name: lane.lastStored.name, at: lane.lastStored.at.toISOString() } }),
    lagFiles,
    lagBytes: lagFiles * segmentSizeBytes,
    onTheWayFiles: lane?.onTheWay.size ?? 0,
    isHealing: health?.state === "ok" && owedFiles + missingFiles > 0,
  };
}
