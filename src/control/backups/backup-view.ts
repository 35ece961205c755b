import type { z } from "zod";
import { backup } from "../../manifest/kinds/backup.ts";
import { valueAt } from "../../manifest/manifest-object.ts";
import type { Resource } from "../resources/resource.ts";
import { readBackupStatus, type BackupStatus } from "./backup-status.ts";

export type BackupSpec = z.infer<typeof backup>["spec"];

/** A Backup with its fields typed. */
export interface BackupView {
  readonly resource: Resource;
  readonly name: string;
  readonly uid: string;
  /** Empty for one that names none, which no cluster is called. */
  readonly clusterName: string;
  /** Undefined for one that does not fit its schema; `problem` says why. */
  readonly spec: BackupSpec | undefined;
  readonly problem: string | undefined;
  readonly status: BackupStatus;
}

/** Objects do not change, and are looked at again and again: every Backup by each of its cluster's. */
const views = new WeakMap<Resource, BackupView>();

export function viewBackup(resource: Resource): BackupView {
  const known = views.get(resource);
  if (known !== undefined) return known;
  const view = readBackup(resource);
  views.set(resource, view);
  return view;
}

function readBackup(resource: Resource): BackupView {
  const { content, metadata } = resource;
  const parsed = backup.shape.spec.safeParse(content["spec"]);
  const issue = parsed.error?.issues[0];
  const clusterName = valueAt(content, ["spec", "cluster", "name"]);
  return {
    resource,
    name: metadata.name,
    uid: metadata.uid,
    clusterName: typeof clusterName === "string" ? clusterName : "",
    spec: parsed.data,
    problem: issue && `spec.${issue.path.join(".")}: ${issue.message}`,
    status: readBackupStatus(resource.status),
  };
}
