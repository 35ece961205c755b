import type { ManifestObject } from "../../manifest-object.ts";
import { nearest } from "../../nearest.ts";
import type { Rule } from "../rule.ts";
import { namespaceOf, recordAt, textAt } from "../world.ts";

/** Annotations of a Cluster that switch something off. */

const prefix = "cnpg.io/";
const skipArchiving = `${prefix}skipWalArchiving`;
const skipCheck = `${prefix}skipEmptyWalArchiveCheck`;
const hibernation = `${prefix}hibernation`;
/** How long a standby may be unable to follow before it is replaced by a new copy; ours. */
export const remakeStandbysAnnotation = "tidemark.dev/remake-standbys-after";

function annotation(object: ManifestObject, name: string): string | undefined {
  return textAt(object, "metadata", "annotations", name);
}

const switchedOff: Rule = {
  id: "protection-switched-off",
  severity: "warning",
  summary: "an annotation with which WAL is not archived, or may be mixed with another system's",
  explanation:
    "With `cnpg.io/skipWalArchiving: enabled` every WAL file is reported as archived and goes nowhere: there is no recovery to any moment after that, and a base backup that is taken cannot be restored. With `cnpg.io/skipEmptyWalArchiveCheck: enabled` nobody looks whether the archive is another system's before the first file is written. Take them away when what they were for is done.",
  *check(world) {
    const effects = {
      [skipArchiving]:
        "WAL files are reported as archived, and go nowhere: nothing after that can be restored",
      [skipCheck]:
        "nobody looks whether the archive belongs to another system before the first file is written",
    };
    for (const object of world.clusters) {
      for (const [name, message] of Object.entries(effects)) {
        if (annotation(object, name) !== "enabled") continue;
        yield { object, path: ["metadata", "annotations", name], message };
      }
    }
  },
};

const values: Readonly<Record<string, readonly string[]>> = {
  [skipArchiving]: ["enabled", "disabled"],
  [skipCheck]: ["enabled", "disabled"],
  [hibernation]: ["on", "off"],
};

const withoutEffect: Rule = {
  id: "annotation-without-effect",
  severity: "warning",
  summary: "an annotation that is misspelt, or has a value that means nothing",
  explanation:
    "`cnpg.io/skipWalArchiving` and `cnpg.io/skipEmptyWalArchiveCheck` count only with the value `enabled`; `true` means nothing. `cnpg.io/hibernation` is `on` or `off`, and with anything else CloudNativePG refuses the Cluster. An annotation whose name is not quite one of these is ignored without a word. Tidemark's own `tidemark.dev/remake-standbys-after` is a number of seconds, or `never`.",
  *check(world) {
    for (const object of world.clusters) {
      for (const [name, value] of Object.entries(recordAt(object, "metadata", "annotations") ?? {})) {
        const path = ["metadata", "annotations", name];
        const known = values[name];
        if (known !== undefined) {
          if (typeof value !== "string" || known.includes(value)) continue;
          yield {
            object,
            path,
            ...(name === hibernation ? { severity: "error" as const } : {}),
            message: `"${value}" means nothing here: it should be "${known.join('" or "')}"`,
          };
          continue;
        }
        if (name === remakeStandbysAnnotation && !/^(never|\d{1,9})$/.test(String(value))) {
          const message = `"${String(value)}" means nothing here: it should be a number of seconds, or "never"`;
          yield { object, path, message };
          continue;
        }
        if (!name.startsWith(prefix)) continue;
        const words = Object.keys(values).map((annotation) => annotation.slice(prefix.length));
        const near = nearest(name.slice(prefix.length), words);
        if (near === undefined) continue;
        yield { object, path, message: `nobody reads "${name}"`, hint: `Did you mean "${prefix}${near}"?` };
      }
    }
  },
};

const hibernated: Rule = {
  id: "hibernated-cluster",
  severity: "warning",
  summary: "backups of a cluster that hibernates",
  explanation:
    'With `cnpg.io/hibernation: "on"` the server is stopped: a Backup fails at once ("cannot backup a hibernated cluster"), each one of a ScheduledBackup too, and old backups are not expired.',
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      const path = ["spec", "cluster", "name"];
      const cluster = world.find("Cluster", namespaceOf(object), textAt(object, ...path) ?? "");
      if (cluster === undefined || annotation(cluster, hibernation) !== "on") continue;
      yield {
        object,
        path,
        message: `Cluster "${cluster.name}" hibernates: cannot backup a hibernated cluster`,
        ...(object.kind === "ScheduledBackup" ? { hint: "Suspend the schedule until it runs again." } : {}),
      };
    }
  },
};

export const annotationRules: readonly Rule[] = [switchedOff, withoutEffect, hibernated];
