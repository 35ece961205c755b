import { parseClusterService } from "../../cluster-service.ts";
import { majorOfImage } from "../../image-major.ts";
import type { FieldPath, ManifestObject } from "../../manifest-object.ts";
import { externalClustersOf } from "../cluster-stores.ts";
import type { Finding, Rule } from "../rule.ts";
import { namespaceOf, recordAt, textAt, type World } from "../world.ts";

/** Copies of running servers: `bootstrap.pg_basebackup`. */

const copyPath = ["spec", "bootstrap", "pg_basebackup"] as const;

const copySource: Rule = {
  id: "copy-source",
  severity: "warning",
  summary: "a copy of a server that is none of these clusters",
  explanation:
    "`bootstrap.pg_basebackup` makes a cluster as a copy of a running server. CloudNativePG copies whatever answers at `connectionParameters.host`; here it is a Cluster of the same control plane, which the host names as CloudNativePG names its services: `<cluster>-rw`, `-ro` or `-r`, with `.<namespace>` and `.svc…` where it is in another one. With any other host the Cluster is accepted and says in its status that it cannot be made. A copy has the major version of its origin, and a cluster cannot be a copy of itself: these are errors anywhere.",
  *check(world) {
    for (const object of world.clusters) {
      const source = sourceOf(world, object);
      if (source !== undefined) yield* findingsOf(world, object, source);
    }
  },
};

interface CopiedHost {
  /** Name of the external cluster. */
  readonly name: string;
  readonly path: FieldPath;
  readonly host: string | undefined;
}

/** Undefined where there is nothing to copy, or no connection: other rules say so. */
function sourceOf(world: World, object: ManifestObject): CopiedHost | undefined {
  const source = textAt(object, ...copyPath, "source");
  const external = externalClustersOf(world, object).find(({ name }) => name === source);
  if (external === undefined) return undefined;
  const path = [...external.path, "connectionParameters"];
  if (recordAt(object, ...path) === undefined) return undefined;
  const field = textAt(object, ...path, "hostaddr") === undefined ? "host" : "hostaddr";
  return { name: external.name, path: [...path, field], host: textAt(object, ...path, field) };
}

function* findingsOf(
  world: World,
  object: ManifestObject,
  { name, path, host }: CopiedHost,
): Iterable<Finding> {
  const service = host === undefined ? undefined : parseClusterService(host);
  if (host === undefined || service === undefined) {
    yield {
      object,
      path,
      message:
        host === undefined
          ? `external cluster "${name}" has no host: nothing says what is to be copied`
          : `"${host}" is no Cluster's service: a server from elsewhere is not copied here`,
      hint: "Name a Cluster by its service, for example pg-rw or pg-rw.production; a server from elsewhere comes by its backups, with bootstrap.recovery.",
    };
    return;
  }
  const namespace = service.namespace ?? namespaceOf(object);
  const origin = world.find("Cluster", namespace, service.cluster);
  if (origin === undefined) {
    yield {
      object,
      path,
      message: `Cluster "${service.cluster}" is not in namespace "${namespace}" of these manifests`,
      hint: "It must exist already, or this one waits for it.",
    };
  } else if (origin === object) {
    yield { object, path, severity: "error", message: `"${host}" is this Cluster's own service` };
  } else {
    yield* majorFindings(object, origin);
  }
}

function* majorFindings(object: ManifestObject, origin: ManifestObject): Iterable<Finding> {
  const path = ["spec", "imageName"];
  const [own, theirs] = [object, origin].map((cluster) => majorOfImage(textAt(cluster, ...path) ?? ""));
  if (own === undefined || theirs === undefined || own === theirs) return;
  yield {
    object,
    path,
    severity: "error",
    message: `it is of PostgreSQL ${own}, and Cluster "${origin.name}", which it is a copy of, of ${theirs}: a copy has the major version of its origin`,
  };
}

export const copyRules: readonly Rule[] = [copySource];
