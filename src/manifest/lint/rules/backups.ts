import { formatPath, type ManifestObject } from "../../manifest-object.ts";
import { barmanPlugin, enabledPlugins } from "../cluster-stores.ts";
import type { Finding, Rule } from "../rule.ts";
import { isSetAt, namespaceOf, textAt, type World } from "../world.ts";

/** Backups and ScheduledBackups: by whom they are taken. */

const backupMethod: Rule = {
  id: "backup-method",
  severity: "error",
  summary: "a backup by a method that its cluster does not have",
  explanation:
    'The default of `method` is barmanObjectStore, the in-tree one: a Backup or ScheduledBackup without it on a cluster that has only the plugin fails at once on CloudNativePG ("cannot proceed with the backup as the cluster has no backup section"). Write `method: plugin` and `pluginConfiguration.name`. Where `method` is left out, it is chosen from the cluster here.',
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      const method = textAt(object, "spec", "method");
      const cluster = world.find(
        "Cluster",
        namespaceOf(object),
        textAt(object, "spec", "cluster", "name") ?? "",
      );
      if (cluster === undefined) continue;
      const hasInTree = isSetAt(cluster, "spec", "backup", "barmanObjectStore");
      const plugins = enabledPlugins(cluster);
      const plugin = plugins.find(({ name }) => name === barmanPlugin);
      if (method === "volumeSnapshot") {
        yield {
          object,
          path: ["spec", "method"],
          message: "there are no volume snapshots on one machine: this backup cannot be taken here",
        };
      } else if (method === "plugin" && plugins.length === 0) {
        yield {
          object,
          path: ["spec", "method"],
          message: `Cluster "${cluster.name}" has no plugin: the backup would fail`,
          ...(hasInTree ? { hint: "Write method: barmanObjectStore." } : {}),
        };
      } else if (method !== "plugin" && !hasInTree && plugin !== undefined) {
        yield {
          object,
          path: method === undefined ? ["spec"] : ["spec", "method"],
          severity: method === undefined ? "warning" : "error",
          message: `${method === undefined ? "without a method it is barmanObjectStore" : `method is "${method}"`}, and Cluster "${cluster.name}" has only the plugin: on CloudNativePG the backup fails`,
          hint: `Write method: plugin and pluginConfiguration: {name: ${plugin.name}}.`,
          fix: {
            title: "take it with the plugin",
            edits: [
              { kind: "set", object, path: ["spec", "method"], value: "plugin" },
              { kind: "set", object, path: ["spec", "pluginConfiguration", "name"], value: plugin.name },
            ],
          },
        };
      } else if (method !== "plugin" && !hasInTree) {
        yield {
          object,
          path: method === undefined ? ["spec"] : ["spec", "method"],
          message: `Cluster "${cluster.name}" has no barmanObjectStore${plugins.length === 0 ? ", and no plugin" : ""}: the backup would fail`,
        };
      }
    }
  },
};

const pluginConfiguration: Rule = {
  id: "plugin-configuration",
  severity: "error",
  summary: "method plugin without saying which plugin",
  explanation:
    "With `method: plugin`, `pluginConfiguration.name` is required. A ScheduledBackup without it is admitted, and then none of its Backups can be created. With another method, or none, nobody reads pluginConfiguration.",
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      const path = ["spec", "pluginConfiguration"];
      if (textAt(object, "spec", "method") !== "plugin") {
        yield* unreadConfiguration(world, object);
        continue;
      }
      const name = textAt(object, ...path, "name");
      if (name !== undefined) {
        const cluster = world.find(
          "Cluster",
          namespaceOf(object),
          textAt(object, "spec", "cluster", "name") ?? "",
        );
        const plugins = cluster === undefined ? [] : enabledPlugins(cluster);
        if (plugins.length > 0 && !plugins.some((plugin) => plugin.name === name)) {
          yield {
            object,
            path: [...path, "name"],
            message: `Cluster "${cluster?.name ?? ""}" has no plugin "${name}": the backup would fail`,
            hint: `It has ${plugins.map((plugin) => plugin.name).join(", ")}.`,
          };
        }
        if (isSetAt(object, ...path, "parameters")) {
          yield {
            object,
            path: [...path, "parameters"],
            severity: "warning",
            message: `${formatPath([...path, "parameters"])} are not read by ${barmanPlugin}`,
          };
        }
        continue;
      }
      yield {
        object,
        path: ["spec"],
        message: "method is plugin, and pluginConfiguration.name is missing",
        fix: {
          title: `name ${barmanPlugin}`,
          edits: [{ kind: "set", object, path: [...path, "name"], value: barmanPlugin }],
        },
      };
    }
  },
};

/** Where the cluster is at hand, `backup-method` says which method it has. */
function* unreadConfiguration(world: World, object: ManifestObject): Iterable<Finding> {
  const path = ["spec", "pluginConfiguration"];
  const method = textAt(object, "spec", "method");
  const cluster = textAt(object, "spec", "cluster", "name") ?? "";
  if (!isSetAt(object, ...path)) return;
  if (method === undefined && world.find("Cluster", namespaceOf(object), cluster) !== undefined) return;
  yield {
    object,
    path,
    severity: "warning",
    message: `method is ${method === undefined ? "not given, which means barmanObjectStore" : `"${method}"`}: pluginConfiguration is not read`,
    hint: "Write method: plugin.",
    ...(method === undefined
      ? {
          fix: {
            title: "take it with the plugin",
            edits: [{ kind: "set", object, path: ["spec", "method"], value: "plugin" }],
          },
        }
      : {}),
  };
}

const snapshotOptions: Rule = {
  id: "snapshot-options",
  severity: "error",
  summary: "options of volume snapshots with another method",
  explanation:
    '`online` and `onlineConfiguration` are about volume snapshots. With the method barmanObjectStore, which is the default, CloudNativePG refuses them ("Online parameter can be specified only if the backup method is volumeSnapshot"); with a plugin they have no effect.',
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      const method = textAt(object, "spec", "method") ?? "barmanObjectStore";
      if (method === "volumeSnapshot") continue;
      for (const field of ["online", "onlineConfiguration"]) {
        const path = ["spec", field];
        if (!isSetAt(object, ...path)) continue;
        yield {
          object,
          path,
          ...(method === "plugin" ? { severity: "warning" as const } : {}),
          message: `${field} can be specified only if the backup method is volumeSnapshot, and it is "${method}"`,
          fix: { title: `remove ${field}`, edits: [{ kind: "remove", object, path }] },
        };
      }
    }
  },
};

export const backupRules: readonly Rule[] = [backupMethod, pluginConfiguration, snapshotOptions];
