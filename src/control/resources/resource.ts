/**
 * Objects as the control plane keeps them, with Kubernetes' words and meaning (Kubernetes API conventions, "Objects" and
 * "Metadata"): what people want stands in `content`, what is stands in `status`, and nobody but the control plane writes
 * the latter.
 */

/** Names one object. Kinds are unique here whatever their group; Namespaces themselves have the namespace "". */
export interface ResourceKey {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface ResourceMetadata {
  readonly name: string;
  readonly namespace: string;
  /** Never used twice: an object that is deleted and made again is another one. */
  readonly uid: string;
  /** Decimal; grows with every change of any object. Opaque to clients. */
  readonly resourceVersion: string;
  /** Grows with every change of `content`. */
  readonly generation: number;
  /** ISO 8601, whole seconds, UTC. */
  readonly creationTimestamp: string;
  /** Set when deletion was asked for and finalizers are still there. */
  readonly deletionTimestamp?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
  readonly finalizers: readonly string[];
}

export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ResourceMetadata;
  /** Every top-level field but apiVersion, kind, metadata and status: `{ spec }`, or a Secret's `{ type, data }`. */
  readonly content: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>> | undefined;
}

/** What whoever makes or changes an object may say of it. */
export interface ResourceDraft {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

export function keyOf({ kind, metadata }: Resource): ResourceKey {
  return { kind, namespace: metadata.namespace, name: metadata.name };
}

/** The key as one text, for maps: unlike `formatKey`, never the same for two keys, whatever their names hold. */
export function keyId({ kind, namespace, name }: ResourceKey): string {
  return JSON.stringify([kind, namespace, name]);
}

/** What an object says, as a draft that changes nothing: an update of one field is `{ ...draftOf(resource), labels }`. */
export function draftOf({ apiVersion, kind, metadata, content }: Resource): ResourceDraft {
  const { namespace, name, labels, annotations, ownerReferences, finalizers } = metadata;
  return { apiVersion, kind, namespace, name, content, labels, annotations, ownerReferences, finalizers };
}

/** `Cluster production/pg`, for messages and logs. */
export function formatKey({ kind, namespace, name }: ResourceKey): string {
  return namespace === "" ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

export function ownerReferenceTo({ apiVersion, kind, metadata }: Resource): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid };
}

/** The object as Kubernetes writes it: what `get -o yaml` shows and the API sends. */
export function toManifest({
  apiVersion,
  kind,
  metadata,
  content,
  status,
}: Resource): Record<string, unknown> {
  const { labels, annotations, ownerReferences, finalizers, deletionTimestamp, namespace, ...rest } =
    metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      ...rest,
      ...(namespace === "" ? {} : { namespace }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      ...(ownerReferences.length === 0 ? {} : { ownerReferences }),
      ...(finalizers.length === 0 ? {} : { finalizers }),
    },
    ...content,
    ...(status === undefined ? {} : { status }),
  };
}
