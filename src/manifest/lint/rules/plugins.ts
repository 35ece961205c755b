import { formatPath, isRecord, valueAt } from "../../manifest-object.ts";
import { nearest } from "../../nearest.ts";
import { barmanPlugin, enabledPlugins, ourParameters, pluginEntries } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { listAt } from "../world.ts";
import { recoveryTargetFields } from "./recovery-target-fields.ts";

/** Plugins of a Cluster and their parameters, which nobody checks. */

const known = ["barmanObjectName", "serverName", ...ourParameters];

const unknownParameter: Rule = {
  id: "unknown-plugin-parameter",
  severity: "error",
  summary: "a parameter that the plugin does not read",
  explanation:
    "The parameters of a plugin are a map of texts that no schema checks: the plugin reads barmanObjectName and serverName, and ignores everything else without a word. Tidemark reads additionalObjectNames and archivePolicy besides.",
  *check(world) {
    for (const object of world.clusters) {
      for (const { path, name, parameters } of pluginEntries(object)) {
        if (name !== barmanPlugin) continue;
        for (const parameter of Object.keys(parameters)) {
          if (known.includes(parameter) || recoveryTargetFields.includes(parameter)) continue;
          const near = nearest(parameter, known);
          yield {
            object,
            path: [...path, "parameters", parameter],
            message: `parameter "${parameter}" is not read by ${barmanPlugin}`,
            hint: near === undefined ? `It reads ${known.join(", ")}.` : `Did you mean "${near}"?`,
          };
        }
      }
    }
  },
};

const unknownPlugin: Rule = {
  id: "unknown-plugin",
  severity: "error",
  summary: "a plugin that does not exist here",
  explanation:
    'A Cluster that lists a plugin which is not installed does not come up at all ("Cluster cannot proceed to reconciliation due to an unknown plugin being required"). Here there is `barman-cloud.cloudnative-pg.io`.',
  *check(world) {
    for (const object of world.clusters) {
      for (const { path, name } of pluginEntries(object)) {
        if (name === barmanPlugin || name === "") continue;
        const near = nearest(name, [barmanPlugin]);
        yield {
          object,
          path: [...path, "name"],
          message: `plugin "${name}" is not known here`,
          hint: `${near === undefined ? "There is" : "Did you mean"} ${barmanPlugin}${near === undefined ? "." : "?"}`,
          ...(near === undefined
            ? {}
            : {
                fix: {
                  title: `write ${near}`,
                  edits: [{ kind: "set", object, path: [...path, "name"], value: near }],
                },
              }),
        };
      }
    }
  },
};

const withoutStore: Rule = {
  id: "plugin-without-store",
  severity: "error",
  summary: "the plugin without barmanObjectName",
  explanation:
    'Without `parameters.barmanObjectName` the plugin has no store: it is skipped ("no reference to barmanObjectName have been included"), nothing is archived and nothing is backed up.',
  *check(world) {
    for (const object of world.clusters) {
      for (const { path, name, parameters } of pluginEntries(object)) {
        if (name !== barmanPlugin || parameters["barmanObjectName"] !== undefined) continue;
        yield {
          object,
          path,
          message: `${formatPath([...path, "parameters", "barmanObjectName"])} is missing: the plugin does nothing`,
        };
      }
    }
  },
};

const twoEntries: Rule = {
  id: "plugin-twice",
  severity: "error",
  summary: "one plugin listed twice",
  explanation:
    "The list of plugins has no key, so the same plugin may stand in it twice; the last entry's parameters count, and the first store receives nothing. For two stores, name the second in `additionalObjectNames` of one entry.",
  *check(world) {
    for (const object of world.clusters) {
      const entries = listAt(object, "spec", "plugins");
      const names = entries.map((entry) =>
        isRecord(entry) && entry["enabled"] !== false ? entry["name"] : undefined,
      );
      for (const [index, name] of names.entries()) {
        if (name === undefined || names.indexOf(name) === index) continue;
        yield {
          object,
          path: ["spec", "plugins", index],
          message: `plugin ${JSON.stringify(name)} is listed twice: only the last entry's parameters count`,
          hint: "For a second store, write additionalObjectNames into the parameters of one entry.",
        };
      }
    }
  },
};

const severalArchivers: Rule = {
  id: "several-archivers",
  severity: "error",
  summary: "several plugins that are to archive WAL",
  explanation:
    'CloudNativePG refuses a Cluster in which more than one plugin has `isWALArchiver: true` ("Cannot enable more than one WAL archiver plugin"). For several stores, name the further ones in `additionalObjectNames` of one entry.',
  *check(world) {
    for (const object of world.clusters) {
      const entries = enabledPlugins(object).filter(
        ({ path }) => valueAt(object.value, [...path, "isWALArchiver"]) === true,
      );
      const [first] = entries;
      // One plugin twice is `plugin-twice`.
      for (const { path, name } of entries.filter((entry) => entry.name !== first?.name)) {
        yield {
          object,
          path: [...path, "isWALArchiver"],
          message: `"${name}" is to archive WAL, and so is "${first?.name ?? ""}": cannot enable more than one WAL archiver plugin`,
          hint: "Leave isWALArchiver out of all but one of them.",
        };
      }
    }
  },
};

const archiverOff: Rule = {
  id: "archiver-switched-off",
  severity: "warning",
  summary: "isWALArchiver: false, with which the plugin archives all the same",
  explanation:
    "`isWALArchiver: false` does not stop the Barman Cloud plugin from archiving: every plugin that is loaded and can archive gets every WAL file (plugin-barman-cloud#606). It only keeps CloudNativePG from noticing a second archiver. To switch the plugin off, write `enabled: false`.",
  *check(world) {
    for (const object of world.clusters) {
      for (const { path, name } of enabledPlugins(object)) {
        const at = [...path, "isWALArchiver"];
        if (name !== barmanPlugin || valueAt(object.value, at) !== false) continue;
        yield {
          object,
          path: at,
          message: `${name} archives WAL all the same`,
          hint: "Write true, which is what happens; or enabled: false to switch the plugin off.",
        };
      }
    }
  },
};

export const pluginRules: readonly Rule[] = [
  unknownParameter,
  unknownPlugin,
  withoutStore,
  twoEntries,
  severalArchivers,
  archiverOff,
];
