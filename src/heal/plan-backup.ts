import { lastSegmentBefore, segmentsBetween, type WalSegmentName } from "../postgres/wal-file-name.ts";
import type { FinishedEntry } from "../repository/catalogue.ts";
import type { Repository } from "../repository/repository.ts";
import { isSameBackup } from "../repository/backup-info-check.ts";
import { deadAfterMs } from "../repository/running-mark.ts";
import { badParts, manifestName, plainParts, type BackupState } from "./backup-state.ts";
import { isHealing } from "./healing-mark.ts";
import type { BackupStep, PartStep } from "./heal-plan.ts";

/** What is to be done about one backup in one repository: a step, why not, or nothing (undefined). */
export type BackupDecision =
  | { readonly kind: "step"; readonly step: BackupStep }
  | { readonly kind: "left"; readonly reason: string }
  | undefined;

export interface BackupQuestion {
  readonly target: Repository;
  /** Undefined when the repository has no folder for it. */
  readonly own: BackupState | undefined;
  /** The same backup elsewhere, in the order in which they are to be asked. */
  readonly others: readonly BackupState[];
  readonly now: Date;
}

/** How one repository comes to have a backup as whole as another one has it: pure. */
export function planBackup(question: BackupQuestion): BackupDecision {
  const { own, others, now } = question;
  const holders = others
    .filter((other) => other.entry !== undefined && other.manifestProblem === undefined)
    .toSorted((a, b) => Number(b.manifest !== undefined) - Number(a.manifest !== undefined));
  if (own === undefined || own.backup.entry.kind === "incomplete" || own.backup.entry.kind === "failed") {
    if (holders.length === 0) return undefined;
    if (own !== undefined && isPerhapsRunning(own, now)) {
      return { kind: "left", reason: "it may still be being written there" };
    }
    const mode = own?.backup.entry.kind === "failed" ? "anew" : "missing";
    return wholeCopy(question, holders, { mode, reason: "the backup is missing" });
  }
  return mend(question, own, holders);
}

/** Somebody else's sign of life is fresh; that of an interrupted heal is ours to take over. */
function isPerhapsRunning({ backup }: BackupState, now: Date): boolean {
  if (backup.mark !== undefined && isHealing(backup.mark)) return false;
  // A mark goes only behind `backup.info`: this one was complete.
  if (backup.manifest !== undefined && backup.mark === undefined) return false;
  return now.getTime() - backup.newestAt.getTime() < deadAfterMs;
}

/** Copies all of it, from the first holder whose every part somebody has. */
function wholeCopy(
  { target, own, others }: BackupQuestion,
  holders: readonly BackupState[],
  given: { readonly mode: "missing" | "anew"; readonly reason: string },
): BackupDecision {
  for (const holder of holders) {
    const { entry } = holder;
    const parts = partsOf(holder).map((part) => ({ ...part, sources: sourcesOf(part, [holder, ...others]) }));
    if (entry === undefined || parts.some(({ sources }) => sources.length === 0)) continue;
    const kept = new Set([...parts.map(({ name }) => name), manifestName, "annotations/keep"]);
    const removes = own === undefined ? [] : plainParts(own).filter((name) => !kept.has(name));
    return {
      kind: "step",
      step: {
        kind: "backup",
        target,
        id: entry.id,
        ...given,
        parts,
        manifestFrom: holder.manifest === undefined ? [] : [holder.inventory.repository],
        infoFrom: [holder.inventory.repository],
        infoSha256: holder.backup.infoSha256,
        keepFrom: entry.keep === undefined ? undefined : holder.inventory.repository,
        needs: neededSegments(entry),
        removes,
        bytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      },
    };
  }
  return { kind: "left", reason: `${given.reason}, and no repository has all of its parts` };
}

/** Puts right what is damaged in a visible backup; where that does not do, it is copied anew. */
function mend(question: BackupQuestion, own: BackupState, holders: readonly BackupState[]): BackupDecision {
  const { target, others } = question;
  const model = holders[0];
  const manifest = own.manifest ?? model?.manifest;
  const isManifestBad = own.manifest === undefined && manifest !== undefined;
  const bad = manifest === undefined ? new Map<string, string>() : badParts(own, manifest);
  const infoProblem = own.infoProblem ?? differenceTo(own, model);
  const reasons = [
    ...(own.manifestProblem === undefined ? [] : [`the manifest is damaged: ${own.manifestProblem}`]),
    ...(isManifestBad && own.manifestProblem === undefined ? ["the manifest is missing"] : []),
    ...(infoProblem === undefined ? [] : [`backup.info is damaged: ${infoProblem}`]),
    ...[...bad].map(([name, why]) => `"${name}": ${why}`),
  ];
  const reason = reasons.slice(0, 3).join("; ");
  if (reasons.length === 0) return undefined;
  if (
    own.entry !== undefined &&
    model?.entry !== undefined &&
    !isSameBackup(own.entry.info, model.entry.info)
  ) {
    return { kind: "left", reason: "two repositories have different backups under this ID" };
  }
  const told = manifest?.parts ?? [];
  const parts = told
    .filter(({ name }) => bad.has(name))
    .map((part): PartStep => {
      const { name, storedBytes: sizeBytes, sha256 } = part;
      return { name, sizeBytes, sha256, sources: sourcesOf({ name, sizeBytes, sha256 }, others) };
    });
  const infoFrom =
    infoProblem === undefined
      ? []
      : holders.filter(
          ({ backup }) => backup.infoSha256 === (manifest?.infoSha256 ?? model?.backup.infoSha256),
        );
  const entry = own.entry ?? model?.entry;
  const canMend =
    parts.every(({ sources }) => sources.length > 0) &&
    (infoProblem === undefined || infoFrom.length > 0) &&
    // Where not one part is that of the good manifest, they are of another form.
    (!isManifestBad || parts.length < told.length);
  if (!canMend || entry === undefined) return wholeCopy(question, holders, { mode: "anew", reason });
  return {
    kind: "step",
    step: {
      kind: "backup",
      target,
      id: own.backup.id,
      mode: "mend",
      parts,
      manifestFrom: isManifestBad && model !== undefined ? [model.inventory.repository] : [],
      infoFrom: infoFrom.map(({ inventory }) => inventory.repository),
      infoSha256: infoFrom[0]?.backup.infoSha256,
      keepFrom: undefined,
      needs: neededSegments(entry),
      removes: [],
      reason,
      bytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    },
  };
}

/** Where no manifest of its own can tell, another repository's can. */
function differenceTo(own: BackupState, model: BackupState | undefined): string | undefined {
  const told = own.manifest?.infoSha256 ?? model?.manifest?.infoSha256;
  if (told === undefined || told === own.backup.infoSha256) return undefined;
  return "it does not have the SHA-256 that the manifest says";
}

function neededSegments({ info }: FinishedEntry): WalSegmentName[] {
  const { beginWal, endLsn, timeline, walSegmentSizeBytes } = info;
  if (endLsn === 0n) return [beginWal];
  const last = lastSegmentBefore(endLsn, timeline, walSegmentSizeBytes);
  return last < beginWal ? [beginWal] : [...segmentsBetween(beginWal, last, walSegmentSizeBytes)];
}

function partsOf(holder: BackupState): Omit<PartStep, "sources">[] {
  const { manifest, backup } = holder;
  if (manifest !== undefined) {
    return manifest.parts.map(({ name, storedBytes, sha256 }) => ({ name, sizeBytes: storedBytes, sha256 }));
  }
  return plainParts(holder).map((name) => ({
    name,
    sizeBytes: backup.objects.get(name) ?? 0,
    sha256: undefined,
  }));
}

/** Who has an object of this name and size that is not known to be damaged, nor said to be another one. */
function sourcesOf(part: Omit<PartStep, "sources">, states: readonly BackupState[]): Repository[] {
  const good = states.filter(({ backup, manifest, damaged }) => {
    const told = manifest?.parts.find(({ name }) => name === part.name);
    const isOther = told !== undefined && part.sha256 !== undefined && told.sha256 !== part.sha256;
    return backup.objects.get(part.name) === part.sizeBytes && !damaged.has(part.name) && !isOther;
  });
  return [...new Set(good.map(({ inventory }) => inventory.repository))];
}
