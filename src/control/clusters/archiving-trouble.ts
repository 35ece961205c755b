import type { InstanceStatus } from "../../instance/instance-status.ts";
import { describeFailure } from "./describe-failure.ts";

/** Why the WAL of a primary does not reach its archive, as its process says; undefined while nothing speaks against it. */
export function archivingTrouble({
  archiving,
  archivingError,
  rescue,
}: Pick<InstanceStatus, "archiving" | "archivingError" | "rescue">): string | undefined {
  if (archivingError !== undefined) return describeFailure(archivingError);
  if (rescue?.archivingError !== undefined) {
    return `WAL of a primary that is gone is not in the archive yet: ${rescue.archivingError}`;
  }
  if (archiving === undefined) return undefined;
  const { lastArchived, lastFailure, refused, repositories } = archiving;
  const failing = repositories.find(({ state }) => state === "failing");
  const hasFailedLast =
    lastFailure?.error !== undefined && (lastArchived === undefined || lastFailure.at > lastArchived.at);
  return (
    refused[0]?.message ?? failing?.error?.message ?? (hasFailedLast ? lastFailure.error?.message : undefined)
  );
}
