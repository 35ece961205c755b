import { formatPath } from "../../manifest-object.ts";
import { barmanPlugin, enabledPlugins } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { isSetAt, namespaceOf, textAt } from "../world.ts";

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
    "With `method: plugin`, `pluginConfiguration.name` is required. A ScheduledBackup without it is admitted, and then none of its Backups can be created.",
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      if (textAt(object, "spec", "method") !== "plugin") continue;
      const path = ["spec", "pluginConfiguration"];
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

export const backupRules: readonly Rule[] = [backupMethod, pluginConfiguration];
