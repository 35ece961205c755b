import { findKind, isLeftAlone } from "../kinds/registry.ts";
import { isRecord, valueAt, type FieldPath, type ManifestObject } from "../manifest-object.ts";

/** Where objects without a namespace go. */
export const defaultNamespace = "default";

/** All manifests of a run, as rules look at them. Several objects may have one name: that is a finding, not a crash. */
export class World {
  readonly objects: readonly ManifestObject[];

  /** Undefined where the same manifests must always get the same findings: then nothing is said of what is to come. */
  readonly now: Date | undefined;

  /** Those of kinds that are known here: another project's Backup or Cluster is none of ours. */
  readonly #known: readonly ManifestObject[];

  constructor(objects: readonly ManifestObject[], now?: Date) {
    this.objects = objects;
    this.now = now;
    this.#known = objects.filter(
      ({ apiVersion, kind }) => findKind(apiVersion, kind) !== undefined || isLeftAlone(apiVersion, kind),
    );
  }

  ofKind(...kinds: readonly string[]): readonly ManifestObject[] {
    return this.#known.filter(({ kind }) => kinds.includes(kind));
  }

  get clusters(): readonly ManifestObject[] {
    return this.ofKind("Cluster");
  }

  /** What has an archive: Clusters, and our own Servers. */
  get writers(): readonly ManifestObject[] {
    return this.ofKind("Cluster", "Server");
  }

  get stores(): readonly ManifestObject[] {
    return this.ofKind("ObjectStore");
  }

  find(kind: string, namespace: string, name: string): ManifestObject | undefined {
    return this.#known.find(
      (object) => object.kind === kind && namespaceOf(object) === namespace && object.name === name,
    );
  }

  /** Namespaces that have an object of this kind and name. */
  namespacesOf(kind: string, name: string): readonly string[] {
    return [
      ...new Set(
        this.ofKind(kind)
          .filter((object) => object.name === name)
          .map(namespaceOf),
      ),
    ];
  }
}

export function namespaceOf({ namespace }: ManifestObject): string {
  return namespace ?? defaultNamespace;
}

/** Readings of fields that may be absent or of a wrong type, which another rule says. */
export function textAt(object: ManifestObject, ...path: FieldPath): string | undefined {
  const value = valueAt(object.value, path);
  return typeof value === "string" ? value : undefined;
}

export function recordAt(
  object: ManifestObject,
  ...path: FieldPath
): Readonly<Record<string, unknown>> | undefined {
  const value = valueAt(object.value, path);
  return isRecord(value) ? value : undefined;
}

export function listAt(object: ManifestObject, ...path: FieldPath): readonly unknown[] {
  const value = valueAt(object.value, path);
  return Array.isArray(value) ? value : [];
}

export function isSetAt(object: ManifestObject, ...path: FieldPath): boolean {
  return valueAt(object.value, path) !== undefined;
}
