import type { WalFileName, WalSegmentName } from "../postgres/wal-file-name.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { RepositoryIdentity } from "../repository/identity.ts";
import type { Repository } from "../repository/repository.ts";
import type { WalObject } from "../repository/wal-inventory.ts";

/** Copies of one WAL file, in the order in which they are to be asked. */
export interface WalSource {
  readonly repository: Repository;
  readonly object: WalObject;
}

/** One object of a backup that is to be as it is elsewhere. */
export interface PartStep {
  /** Below the backup's folder. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Of the stored bytes, hex; undefined for backups without a manifest. */
  readonly sha256: string | undefined;
  readonly sources: readonly Repository[];
}

export interface IdentityStep {
  readonly kind: "identity";
  readonly target: Repository;
  readonly identity: RepositoryIdentity;
  readonly reason: string;
  readonly bytes: number;
}

export interface WalStep {
  readonly kind: "wal";
  readonly target: Repository;
  readonly file: WalFileName;
  readonly sources: readonly WalSource[];
  /** What the target has under this name and was found to be damaged. */
  readonly damaged: readonly WalObject[];
  readonly reason: string;
  /** Stored size of the first source. */
  readonly bytes: number;
}

export interface BackupStep {
  readonly kind: "backup";
  readonly target: Repository;
  readonly id: BackupId;
  /**
   * `missing`: the target does not have it, or only what an interrupted copy left. `mend`: single objects are put right under a
   * backup that stays visible. `anew`: it cannot be put right; it is hidden, and copied as a whole.
   */
  readonly mode: "missing" | "mend" | "anew";
  readonly parts: readonly PartStep[];
  /** Where the manifest comes from; empty when the target's is good, or nobody has one. */
  readonly manifestFrom: readonly Repository[];
  /** The same for `backup.info`. */
  readonly infoFrom: readonly Repository[];
  /** What it says, hex. */
  readonly infoSha256: string | undefined;
  readonly keepFrom: Repository | undefined;
  /** The segments that make it consistent; the first one is where it begins. */
  readonly needs: readonly WalSegmentName[];
  /** Names in the folder that the new copy does not have. */
  readonly removes: readonly string[];
  readonly reason: string;
  readonly bytes: number;
}

export type HealStep = IdentityStep | WalStep | BackupStep;

/** Something that is not as it should be, or not everywhere, and stays so; and why. */
export interface HealNote {
  readonly repository: string;
  readonly what: string;
  readonly reason: string;
}

/** What heal does, in this order: what a backup needs comes before it. */
export interface HealPlan {
  readonly steps: readonly HealStep[];
  readonly notes: readonly HealNote[];
}

/** What a step is about, for people. */
export function describeStep(step: HealStep): string {
  switch (step.kind) {
    case "identity":
      return "identity";
    case "wal":
      return step.file.name;
    case "backup":
      return `backup ${step.id}`;
  }
}
