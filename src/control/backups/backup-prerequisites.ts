import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import type { ClusterArchive } from "../clusters/cluster-archive.ts";
import type { ClusterView } from "../clusters/cluster-view.ts";
import type { BackupCluster } from "./backup-facts.ts";
import type { BackupMethod } from "./backup-status.ts";
import type { BackupView } from "./backup-view.ts";

/** Whether a Backup can be taken at all: CloudNativePG's checks with its reasons and messages (spec: section 8.4). */
export type Prerequisites =
  | {
      readonly kind: "met";
      readonly method: BackupMethod;
      readonly view: ClusterView;
      readonly archive: ClusterArchive;
    }
  /** It never will. */
  | { readonly kind: "failed"; readonly reason: string; readonly message: string }
  /** It is wrong in itself. */
  | { readonly kind: "invalid"; readonly message: string }
  /** Something that its cluster refers to is not there yet. */
  | { readonly kind: "waiting"; readonly message: string };

const executorReason = "ClusterHasNoBackupExecutorPlugin";

export function checkPrerequisites({ spec, problem }: BackupView, cluster: BackupCluster): Prerequisites {
  if (spec === undefined) return { kind: "invalid", message: problem ?? "it cannot be understood" };
  if (spec.method === "plugin" && spec.pluginConfiguration === undefined) {
    return {
      kind: "invalid",
      message: "spec.pluginConfiguration: cannot be empty when the backup method is plugin",
    };
  }
  if (cluster.settings.kind === "missing") return waiting(cluster.settings.problems);
  const { view, archive } = cluster.settings.value;
  if (view.isHibernated) return failed("ClusterIsHibernated", "cannot backup a hibernated cluster");
  const method = spec.method ?? methodOf(view);
  const refusal =
    method === "plugin"
      ? checkPlugin(view, spec.pluginConfiguration?.name ?? barmanPlugin)
      : checkInTree(view, method);
  if (refusal !== undefined) return refusal;
  if (archive.kind === "missing") return waiting(archive.problems);
  if (archive.value.stores.length === 0) {
    return failed("Error", "no reference to barmanObjectName have been included");
  }
  return { kind: "met", method, view, archive: archive.value };
}

/**
 * CloudNativePG's default is the in-tree method whatever the cluster has, so that a Backup without a method fails on one
 * that has the plugin only. Here it is taken by the method there is.
 */
function methodOf({ spec }: ClusterView): BackupMethod {
  const hasPlugin = (spec.plugins ?? []).some(({ enabled }) => enabled !== false);
  return spec.backup?.barmanObjectStore === undefined && hasPlugin ? "plugin" : "barmanObjectStore";
}

function checkPlugin({ spec, name }: ClusterView, wanted: string): Prerequisites | undefined {
  const plugins = (spec.plugins ?? []).filter(({ enabled }) => enabled !== false);
  if (plugins.length === 0) {
    return failed(executorReason, "cannot proceed with the backup as the cluster has no plugin configured");
  }
  if (!plugins.some((plugin) => plugin.name === wanted)) {
    return failed(executorReason, `cluster "${name}" has no plugin "${wanted}"`);
  }
  if (wanted === barmanPlugin) return undefined;
  return failed(executorReason, `plugin "${wanted}" is not run here, only "${barmanPlugin}"`);
}

function checkInTree({ spec }: ClusterView, method: BackupMethod): Prerequisites | undefined {
  if (spec.backup === undefined) {
    return failed(
      "ClusterHasBackupConfigured",
      "cannot proceed with the backup as the cluster has no backup section",
    );
  }
  if (method === "volumeSnapshot") {
    return failed(
      "ClusterHasNoVolumeSnapshotCRD",
      "cannot proceed with the backup as there are no volume snapshots on one machine",
    );
  }
  if (spec.backup.barmanObjectStore !== undefined) return undefined;
  return failed("ClusterHasNoBarmanSection", "no barmanObjectStore section defined on the target cluster");
}

function failed(reason: string, message: string): Prerequisites {
  return { kind: "failed", reason, message };
}

function waiting(problems: readonly string[]): Prerequisites {
  return { kind: "waiting", message: problems.join("; ") };
}
