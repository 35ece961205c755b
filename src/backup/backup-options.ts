import { availableParallelism } from "node:os";
import type { CodecName } from "../codec/codec.ts";
import { codecNamed, requireLevel } from "../codec/codecs.ts";
import { EngineError } from "../common/errors.ts";
import { gib, mib } from "../common/units.ts";
import { isBackupId } from "../repository/backup-id.ts";
import type { StoredForm } from "../repository/stored-form.ts";
import type { PaceLimits } from "./pace.ts";

/** What the operator may choose about a base backup. */
export interface BackupOptions extends Partial<PaceLimits> {
  /** Free text to find it by; Barman's `backup_name`. */
  readonly name?: string;
  /** Kept in our manifest. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Default zstd. */
  readonly codec?: CodecName;
  readonly level?: number;
  /** By the repositories' names: of those whose form is another. */
  readonly forms?: ReadonlyMap<string, StoredForm>;
  /** How many repositories must get the backup; it goes on without others that fail or are too slow. Default 1. */
  readonly policy?: BackupPolicy;
  /** How long the others wait for a repository's answer at the start, once one of them has answered. Default 30 seconds. */
  readonly answerGraceMs?: number;
  /** How many archive parts are compressed and uploaded at once. Default: one more than there are cores, at most 8. */
  readonly lanes?: number;
  /** A part is closed when its tar has reached this; the file that is being added is still finished. Default 1 GiB. */
  readonly maxPartBytes?: number;
  /** Size of the pieces of an upload; default: what the stores prefer. */
  readonly uploadPartBytes?: number;
  /** Checkpoint at once (true) or spread over minutes to spare the disks (default). */
  readonly fast?: boolean;
  /** How long the archive may make no progress towards the last segment needed. Default 10 minutes. */
  readonly walTimeoutMs?: number;
}

/** How many of the repositories must get a backup. */
export type BackupPolicy = "all" | number;

export interface ResolvedOptions extends PaceLimits {
  readonly name: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Of repositories that have none of their own. */
  readonly form: StoredForm;
  readonly forms: ReadonlyMap<string, StoredForm>;
  readonly policy: BackupPolicy;
  readonly answerGraceMs: number;
  readonly lanes: number;
  readonly maxPartBytes: number;
  readonly uploadPartBytes: number | undefined;
  readonly fast: boolean;
  readonly walTimeoutMs: number;
}

/**
 * Each lane holds up to five slots and three upload parts, about 29 MiB; one lane more than cores keeps the cores busy
 * while a lane waits for its store.
 */
const maxDefaultLanes = 8;

/** Some upload parts for each of a few lanes. */
const defaultMaxBehindBytes = 64 * mib;
const defaultMaxHoldUpMs = 10 * 60_000;

/** Fills in defaults. Throws `usage` for values that make no sense. */
export function resolveOptions(options: BackupOptions): ResolvedOptions {
  const form: StoredForm = {
    codec: options.codec ?? "zstd",
    ...(options.level === undefined ? {} : { level: options.level }),
  };
  const forms = options.forms ?? new Map<string, StoredForm>();
  for (const each of [form, ...forms.values()]) requireWritable(each);
  return {
    name: options.name === undefined ? undefined : checkName(options.name),
    tags: options.tags ?? {},
    form,
    forms,
    policy: options.policy === "all" ? "all" : atLeastOne("policy", options.policy ?? 1),
    answerGraceMs: options.answerGraceMs ?? 30_000,
    maxBehindBytes: options.maxBehindBytes ?? defaultMaxBehindBytes,
    maxHoldUpMs: options.maxHoldUpMs ?? defaultMaxHoldUpMs,
    lanes: atLeastOne("lanes", options.lanes ?? Math.min(availableParallelism() + 1, maxDefaultLanes)),
    maxPartBytes: atLeastOne("maxPartBytes", options.maxPartBytes ?? gib),
    uploadPartBytes:
      options.uploadPartBytes === undefined
        ? undefined
        : atLeastOne("uploadPartBytes", options.uploadPartBytes),
    fast: options.fast ?? false,
    walTimeoutMs: options.walTimeoutMs ?? 600_000,
  };
}

function requireWritable({ codec, level }: StoredForm): void {
  // Spec, rule 15.2: Barman takes a base backup in xz for a missing one, and xz is forty times slower than zstd.
  if (codec === "xz" || codecNamed(codec).createEncoder === undefined) {
    throw new EngineError("usage", `base backups cannot be written with "${codec}", only read`, {
      hint: "Choose zstd, gzip, lz4, snappy or none.",
    });
  }
  requireLevel(codec, level);
}

/**
 * How many of so many repositories must get a backup.
 *
 * @throws EngineError `usage` when there are fewer.
 */
export function requiredOf(policy: BackupPolicy, repositories: number): number {
  if (policy === "all") return repositories;
  if (policy <= repositories) return policy;
  throw new EngineError(
    "usage",
    `backups are to be in ${policy} repositories, and there are ${repositories}`,
    { hint: 'Set backup.policy to "all" or to a number of repositories.' },
  );
}

function atLeastOne(what: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new EngineError("usage", `${what} is ${value}, but must be a whole number from 1 on`);
}

/** Words that Barman and we take for a choice among backups. */
const shortcuts: ReadonlySet<string> = new Set(["first", "oldest", "last", "latest", "last-failed", "auto"]);

function checkName(name: string): string {
  // One line of backup.info holds it, and None is its word for no name.
  const usable = /^[^\s=#][^\r\n]{0,254}$/.test(name) && name === name.trim() && name !== "None";
  if (usable && !isBackupId(name) && !shortcuts.has(name)) return name;
  throw new EngineError("usage", `"${name}" cannot be the name of a backup`, {
    hint: "Use one line of text that is neither a backup ID nor one of first, last, latest, oldest, auto.",
  });
}
