import { formatPath, valueAt, type ManifestObject } from "../../manifest-object.ts";
import { nearest } from "../../nearest.ts";
import {
  destinationPathOf,
  destinationsOf,
  externalClustersOf,
  placeOf,
  serverNamePath,
  type StoreUse,
  type ExternalCluster,
} from "../cluster-stores.ts";
import type { Finding, ObjectEdit, Rule } from "../rule.ts";
import { isSetAt, namespaceOf, textAt, type World } from "../world.ts";
import { recoveryPath, recovering } from "./recovery-target-fields.ts";

/** Recovery: from where, and where the restored cluster writes. */

const sourceIsBackup: Rule = {
  id: "recovery-source-is-backup",
  severity: "error",
  summary: "a source that is the name of a Backup",
  explanation:
    '`recovery.source` names an entry of externalClusters. A Backup is named in `recovery.backup.name`, and then there is no source: CloudNativePG refuses it ("External cluster … not found").',
  *check(world) {
    for (const object of recovering(world)) {
      const path = [...recoveryPath, "source"];
      const source = textAt(object, ...path);
      if (source === undefined) continue;
      if (externalClustersOf(world, object).some(({ name }) => name === source)) continue;
      const isNamed = source === textAt(object, ...recoveryPath, "backup", "name");
      const isBackup = world.find("Backup", namespaceOf(object), source) !== undefined;
      if (!isNamed && !isBackup) continue;
      const edits: ObjectEdit[] = [{ kind: "remove", object, path }];
      if (!isNamed) {
        edits.push({ kind: "set", object, path: [...recoveryPath, "backup", "name"], value: source });
      }
      yield {
        object,
        path,
        message: `"${source}" is a Backup, not an external cluster`,
        hint: isNamed ? "Leave source out: backup.name is enough." : "Write it as backup.name.",
        ...(isNamed || !isByPlugin(world, object, source)
          ? { fix: { title: isNamed ? "remove source" : "write it as backup.name", edits } }
          : {}),
      };
    }
  },
};

/** Whether a Backup was taken, or would be, by a plugin. */
function isByPlugin(world: World, object: ManifestObject, name: string): boolean {
  const backup = world.find("Backup", namespaceOf(object), name);
  if (backup === undefined) return false;
  const method = textAt(backup, "spec", "method");
  const cluster = world.find("Cluster", namespaceOf(backup), textAt(backup, "spec", "cluster", "name") ?? "");
  const hasInTree = cluster !== undefined && isSetAt(cluster, "spec", "backup", "barmanObjectStore");
  return method === "plugin" || (method === undefined && cluster !== undefined && !hasInTree);
}

const backupOfPlugin: Rule = {
  id: "recovery-from-plugin-backup",
  severity: "warning",
  summary: "recovery from a Backup that the plugin took",
  explanation:
    "`recovery.backup` works for in-tree backups only: CloudNativePG cannot recover from a Backup object of the plugin (cloudnative-pg#7989). There, name the store in externalClusters, with the serverName, and that entry in `recovery.source`; `recoveryTarget.backupID` picks the backup. Here both work.",
  *check(world) {
    for (const object of recovering(world)) {
      const path = [...recoveryPath, "backup", "name"];
      const name = textAt(object, ...path);
      if (name === undefined || !isByPlugin(world, object, name)) continue;
      yield {
        object,
        path,
        message: `Backup "${name}" is the plugin's: CloudNativePG cannot recover from it`,
        hint: "Restore through externalClusters and source instead; recoveryTarget.backupID picks the backup.",
      };
    }
  },
};

const backupAndSource: Rule = {
  id: "backup-and-source",
  severity: "error",
  summary: "a Backup and a source together",
  explanation:
    "`recovery.backup` and `recovery.source` are documented as exclusive, and not refused: with a plugin in the source that one wins, otherwise the Backup. Say which is meant.",
  *check(world) {
    for (const object of recovering(world)) {
      const source = textAt(object, ...recoveryPath, "source");
      if (source === undefined || !isSetAt(object, ...recoveryPath, "backup")) continue;
      const external = externalClustersOf(world, object).find(({ name }) => name === source);
      if (external === undefined) continue;
      yield {
        object,
        path: [...recoveryPath, "source"],
        message: `backup and source are both given: CloudNativePG takes ${external.use?.via === "plugin" ? "the source" : "the Backup"}`,
        hint: "Leave one of them out.",
      };
    }
  },
};

const backupNamespace: Rule = {
  id: "backup-namespace",
  severity: "error",
  summary: "a Backup of another namespace",
  explanation:
    "`recovery.backup` has no namespace: the field is removed without a word, the Backup is looked for in the new cluster's namespace, and the cluster waits for ever. To restore into another namespace, name the store in externalClusters, with the serverName of the original, and that entry in `recovery.source`.",
  *check(world) {
    for (const object of recovering(world)) {
      const path = [...recoveryPath, "backup", "namespace"];
      const namespace = valueAt(object.value, path);
      if (namespace === undefined) continue;
      const isOwn = namespace === namespaceOf(object);
      yield {
        object,
        path,
        message: isOwn
          ? "recovery.backup has no namespace"
          : `recovery.backup has no namespace: the Backup would be looked for in "${namespaceOf(object)}"`,
        hint: isOwn
          ? "Leave it out: it is the cluster's own namespace anyway."
          : "Restore through externalClusters and source instead, with the serverName of the original cluster.",
        ...(isOwn ? { fix: { title: "remove it", edits: [{ kind: "remove", object, path }] } } : {}),
      };
    }
  },
};

const missingServerName: Rule = {
  id: "missing-server-name",
  severity: "error",
  summary: "a source without the name that its data has",
  explanation:
    "Data of a server lie below its name. In externalClusters the default is the new cluster's name with the plugin, and the entry's name in-tree; hardly ever is that the name of the original, and then there is \"no target backup found\". Write serverName: the name of the cluster that the data comes from, unless it was given another one.",
  *check(world) {
    for (const object of world.clusters) {
      const sources = [
        textAt(object, ...recoveryPath, "source"),
        textAt(object, "spec", "replica", "source"),
      ];
      for (const external of externalClustersOf(world, object)) {
        const { use } = external;
        const writers = writersTo(world, object, external);
        if (use === undefined || writers.includes(use.serverName)) continue;
        if (!use.isServerNameGiven) {
          const isUsed = sources.includes(external.name);
          yield { ...withoutServerName(object, external, use, writers, isUsed) };
        } else if (writers.length > 0) {
          const near = nearest(use.serverName, writers);
          yield {
            object,
            path: use.path,
            severity: "warning",
            message: `source "${external.name}" is read below "${use.serverName}", where no cluster of these manifests writes`,
            hint: `They write ${writers.map((name) => `"${name}"`).join(", ")} there.${near === undefined ? "" : ` Did you mean "${near}"?`}`,
          };
        }
      }
    }
  },
};

function withoutServerName(
  object: ManifestObject,
  external: ExternalCluster,
  use: StoreUse,
  writers: readonly string[],
  isUsed: boolean,
): Finding {
  const path = serverNamePath(use);
  const [only] = writers;
  return {
    object,
    path: use.path,
    severity: writers.length > 0 && isUsed ? "error" : "warning",
    mayComeLater: true,
    message: `source "${external.name}" has no serverName, so data is looked for below "${use.serverName}"`,
    hint:
      writers.length === 0
        ? `Write ${formatPath(path)}: the name of the cluster that the data comes from.`
        : `At ${destinationPathOf(use) ?? "this place"} these manifests write ${writers.map((name) => `"${name}"`).join(", ")}.`,
    ...(writers.length === 1 && only !== undefined
      ? { fix: { title: `write serverName: ${only}`, edits: [{ kind: "set", object, path, value: only }] } }
      : {}),
  };
}

/** Names under which other clusters, and Servers, of these manifests write to the same place. */
function writersTo(world: World, cluster: ManifestObject, { use }: ExternalCluster): readonly string[] {
  const place = use && placeOf(use);
  if (place === undefined) return [];
  // A cluster may name its own store as the source of another one to come.
  const isRestored = isSetAt(cluster, ...recoveryPath);
  const names = world.writers
    .filter((other) => other !== cluster || !isRestored)
    .flatMap((other) => destinationsOf(world, other))
    .filter((destination) => placeOf(destination) === place)
    .map(({ serverName }) => serverName);
  return [...new Set(names)];
}

const intoOrigin: Rule = {
  id: "restores-into-origin",
  severity: "error",
  summary: "a restored cluster that would write into its origin's archive",
  explanation:
    'A restored cluster begins a timeline of its own. If it archives below the same path and server name as the one it was restored from, the two write into one archive. CloudNativePG refuses to start it because the archive is not empty ("Expected empty archive"). Give it another serverName, or leave that to its own name.',
  *check(world) {
    for (const object of recovering(world)) {
      const source = textAt(object, ...recoveryPath, "source");
      const use = externalClustersOf(world, object).find(({ name }) => name === source)?.use;
      const place = use && placeOf(use);
      if (use === undefined || place === undefined) continue;
      for (const destination of destinationsOf(world, object)) {
        if (placeOf(destination) !== place || destination.serverName !== use.serverName) continue;
        yield {
          object,
          path: destination.path,
          message: `it is restored from server "${use.serverName}" at ${destinationPathOf(use) ?? "a place"}, and would archive to the same`,
          hint: "Give the restored cluster another serverName in its own plugin parameters.",
        };
      }
    }
  },
};

export const recoveryRules: readonly Rule[] = [
  sourceIsBackup,
  backupOfPlugin,
  backupAndSource,
  backupNamespace,
  missingServerName,
  intoOrigin,
];
