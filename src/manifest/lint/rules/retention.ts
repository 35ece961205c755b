import { formatPath, valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import { destinationsOf, configurations } from "../cluster-stores.ts";
import type { Finding, ObjectEdit, Rule } from "../rule.ts";
import { isSetAt, textAt, World } from "../world.ts";

/** Retention: how long things are kept, and where that has to be written to be read. */

const noRetention: Rule = {
  id: "no-retention",
  severity: "warning",
  summary: "a store in use where nothing is ever deleted",
  explanation:
    "Without a retention policy every backup and all WAL stay for ever, and the bill grows. Write `retentionPolicy: 30d` (or weeks, `4w`, or months, `6m`) into the ObjectStore's spec: the newest backup from before the window and its WAL stay too, so that every moment within the window can be returned to.",
  *check(world) {
    const seen = new Set<ManifestObject>();
    for (const use of world.writers.flatMap((writer) => destinationsOf(world, writer))) {
      // A Server may have one of its own, for its part of every store.
      if (use.via === "server" && isSetAt(use.cluster, "spec", "retentionPolicy")) continue;
      const object = use.store ?? (use.via === "in-tree" ? use.cluster : undefined);
      if (object === undefined || seen.has(object)) continue;
      seen.add(object);
      const path = use.store === undefined ? ["spec", "backup"] : ["spec"];
      if (isSetAt(object, ...path, "retentionPolicy")) continue;
      // `retention-in-cluster` says it, and where it goes.
      if (use.via === "plugin" && hasRetentionBesidePlugin(use.cluster)) continue;
      if (hasMisplacedRetention(object)) continue;
      yield {
        object,
        path,
        message: "it has no retentionPolicy: nothing is ever deleted",
        hint: `Write ${formatPath([...path, "retentionPolicy"])}: 30d, for example.`,
      };
    }
  },
};

function hasRetentionBesidePlugin(cluster: ManifestObject): boolean {
  return (
    isSetAt(cluster, "spec", "backup", "retentionPolicy") &&
    !isSetAt(cluster, "spec", "backup", "barmanObjectStore")
  );
}

function hasMisplacedRetention(object: ManifestObject): boolean {
  return misplacedRetentions(new World([object])).length > 0;
}

const retentionInCluster: Rule = {
  id: "retention-in-cluster",
  severity: "warning",
  summary: "a retention policy in the Cluster, where the plugin does not look",
  explanation:
    "`spec.backup.retentionPolicy` is read by the in-tree support only. With the plugin CloudNativePG warns and ignores it, and the store grows for ever. It belongs into the ObjectStore's `spec.retentionPolicy`. Here it is applied to the cluster's stores that have none of their own.",
  *check(world) {
    for (const cluster of world.clusters) {
      const path = ["spec", "backup", "retentionPolicy"];
      const policy = textAt(cluster, ...path);
      const uses = destinationsOf(world, cluster).filter(({ via }) => via === "plugin");
      if (policy === undefined || uses.length === 0 || !hasRetentionBesidePlugin(cluster)) continue;
      yield {
        object: cluster,
        path,
        message: `"${policy}" is not read where the plugin archives: CloudNativePG deletes nothing`,
        hint: "Write it into the ObjectStore's spec.retentionPolicy.",
        ...moveToStores(world, cluster, policy),
      };
    }
  },
};

/** Only where every store is at hand, and nobody wants another policy of it. */
function moveToStores(world: World, cluster: ManifestObject, policy: string): Pick<Finding, "fix"> {
  const path = ["spec", "retentionPolicy"];
  const stores = destinationsOf(world, cluster).map(({ store }) => store);
  const edits: ObjectEdit[] = [
    { kind: "remove", object: cluster, path: ["spec", "backup", "retentionPolicy"] },
  ];
  for (const object of new Set(stores)) {
    if (object === undefined) return {};
    const others = world.clusters.filter((other) =>
      destinationsOf(world, other).some(({ store }) => store === object),
    );
    const wanted = [
      textAt(object, ...path),
      ...others.map((other) => textAt(other, "spec", "backup", "retentionPolicy")),
    ];
    if (wanted.some((other) => other !== undefined && other !== policy)) return {};
    if (!isSetAt(object, ...path)) edits.push({ kind: "set", object, path, value: policy });
  }
  return { fix: { title: "move it to the ObjectStore", edits } };
}

interface Misplaced {
  readonly object: ManifestObject;
  readonly path: FieldPath;
}

/** Fields called retention where none is read. */
function misplacedRetentions(world: World): readonly Misplaced[] {
  const inBackups = world
    .ofKind("Backup", "ScheduledBackup")
    .map((object) => ({ object, path: ["spec", "retentionPolicy"] as FieldPath }));
  const rests = [["wal", "retention"], ["data", "retention"], ["retention"], ["retentionPolicy"]];
  const inStores = configurations(world).flatMap(({ object, path }) =>
    rests.map((rest) => ({ object, path: [...path, ...rest] as FieldPath })),
  );
  return [...inBackups, ...inStores].filter(({ object, path }) => valueAt(object.value, path) !== undefined);
}

const misplacedRetention: Rule = {
  id: "misplaced-retention",
  severity: "error",
  summary: "a retention where none is read",
  explanation:
    "There is one retention policy, of the whole store: `spec.retentionPolicy` of an ObjectStore (`spec.backup.retentionPolicy` in-tree). `data.retention`, `wal.retention` and a `retentionPolicy` of a Backup are fields of nobody: with them nothing is ever deleted. WAL is kept as long as a backup needs it; keeping it for a shorter time would leave backups that cannot be brought to any moment.",
  *check(world) {
    for (const { object, path } of misplacedRetentions(world)) {
      const message = `${formatPath(path)} is not read by anybody: nothing is deleted`;
      const isSource = path[1] === "externalClusters";
      if (isSource || path.includes("wal")) {
        yield {
          object,
          path,
          message,
          hint: isSource
            ? "A source is only read from; leave this out."
            : "WAL is kept as long as the backups need it; leave this out.",
          fix: { title: "remove it", edits: [{ kind: "remove", object, path }] },
        };
        continue;
      }
      const to =
        object.kind === "ObjectStore" ? ["spec", "retentionPolicy"] : ["spec", "backup", "retentionPolicy"];
      const isBackup = object.kind === "Backup" || object.kind === "ScheduledBackup";
      yield {
        object,
        path,
        message,
        hint: isBackup
          ? "Retention is the store's: spec.retentionPolicy of the ObjectStore."
          : `It belongs to ${formatPath(to)}.`,
        ...(isBackup || isSetAt(object, ...to)
          ? {}
          : {
              fix: {
                title: `move it to ${formatPath(to)}`,
                edits: [{ kind: "move", object, from: path, to }],
              },
            }),
      };
    }
  },
};

export const retentionRules: readonly Rule[] = [noRetention, retentionInCluster, misplacedRetention];
