import type { Resource, ResourceDraft, ResourceKey } from "./resource.ts";

/**
 * Where the control plane keeps its objects. One process owns it; every call is one transaction that is durable when it
 * returns, so that a `kill -9` loses nothing that was answered. Calls are synchronous: readings take microseconds, a
 * writing one sync of the disk, and nothing can come between a reading and the writing that follows it.
 *
 * Objects that are handed out are frozen at all depths, and plain JSON: what a draft or a status holds besides (undefined,
 * dates) is dropped or becomes text as `JSON.stringify` has it.
 *
 * Owners are known by their uid. An owner of an object that is not being deleted always exists: an object goes with its
 * last owner, and references to an owner that is gone are taken out of those that have another one. So a draft that names
 * only owners that do not exist (one was deleted just before) is refused with `resource-conflict`; where at least one
 * exists, the others are left out. Nothing can become an orphan that nobody deletes.
 */
export interface ResourceStore extends Disposable {
  /** Throws `resource-exists` when there is one of this key, be it marked for deletion; `resource-conflict` for its owners. */
  create(draft: ResourceDraft): Resource;
  get(key: ResourceKey): Resource | undefined;
  /** Throws `resource-missing`. */
  require(key: ResourceKey): Resource;
  /** Sorted by namespace and name. */
  list(filter?: ListFilter): readonly Resource[];
  /**
   * Replaces what people say of an object: content, labels, annotations, owners, finalizers. What the draft leaves out is
   * empty afterwards; begin with `draftOf` to keep the rest. Nothing happens when nothing differs; the generation grows only
   * with the content. Throws `resource-missing`, and `resource-conflict` when `ifVersion` or `ifUid` is not the object's any
   * more, for its owners, and when a finalizer is added to an object that is being deleted. Taking the last finalizer off
   * one that is being deleted deletes it; what is returned then is what it was at last.
   */
  update(draft: ResourceDraft, condition?: WriteCondition): Resource;
  /**
   * Makes or replaces all of these, each as `create` and `update` do, in one transaction: all of it happens, or nothing. Gives
   * them as they are then, in their order. Throws as those do, and `resource-conflict` for an object that is named twice or
   * is being deleted.
   */
  putAll(drafts: readonly ResourceDraft[]): readonly Resource[];
  /**
   * Replaces the status; nothing happens when it is the same. Undefined when the object is gone, or is not the one of
   * `ifUid`: a reconciler that was late has nothing to say any more. Throws `resource-conflict` for `ifVersion`.
   */
  setStatus(
    key: ResourceKey,
    status: Readonly<Record<string, unknown>>,
    condition: WriteCondition,
  ): Resource | undefined;
  /**
   * Deletes an object, and then whatever only it owns, at all depths. One with finalizers is only marked; it goes, with
   * what it owns, when the last finalizer is taken away by `update`. Throws `resource-conflict`; `absent` when there is none.
   */
  delete(key: ResourceKey, condition?: WriteCondition): "deleted" | "marked" | "absent";
  /**
   * Told of every change after it is durable, in order, also of those made by the store itself (cascades). A listener that
   * throws is logged and does not hinder the others. Ends with the returned function.
   */
  subscribe(listener: (change: ResourceChange) => void): () => void;
  /** The version that the last change had. */
  readonly version: string;

  /**
   * Notes something that happened to an object. The same type, reason and message within an hour only counts up. The newest
   * 1000 of each namespace are kept, and none longer than a week.
   */
  recordEvent(event: EventDraft): void;
  /** Oldest first. Events of deleted objects stay until they are old. */
  events(filter?: EventFilter): readonly ResourceEvent[];
}

export interface ListFilter {
  readonly kind?: string;
  readonly namespace?: string;
  /** All of them must match. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerUid?: string;
}

export interface WriteCondition {
  readonly ifVersion?: string;
  readonly ifUid?: string;
}

export interface ResourceChange {
  readonly type: "added" | "modified" | "deleted";
  /** As it is after the change; as it was when it was deleted, but with the version of its deletion, as Kubernetes has it. */
  readonly resource: Resource;
}

export interface EventDraft {
  readonly about: Resource;
  readonly type: "Normal" | "Warning";
  /** One word, stable: `BackupScheduled`. */
  readonly reason: string;
  readonly message: string;
}

export interface ResourceEvent {
  readonly about: ResourceKey & { readonly uid: string };
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  /** ISO 8601, milliseconds, UTC. */
  readonly firstTime: string;
  readonly lastTime: string;
}

export interface EventFilter {
  readonly namespace?: string;
  readonly about?: ResourceKey;
  /** The newest ones, oldest first all the same. */
  readonly limit?: number;
}
