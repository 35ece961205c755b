import { randomUUID } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import type { Clock } from "../../common/clock.ts";
import { assert, EngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { ChangeFeed } from "./change-feed.ts";
import { databaseError } from "./database-error.ts";
import { databaseKey } from "./database-key.ts";
import { EventLog } from "./event-log.ts";
import { deeplyFrozen } from "./frozen-json.ts";
import { inTransaction, openDatabase } from "./open-database.ts";
import { planCreate, planDelete, planStatus, planUpdate, type PlanFacts } from "./planned-changes.ts";
import { ResourceIndex } from "./resource-index.ts";
import { ResourceRows } from "./resource-rows.ts";
import type {
  EventDraft,
  EventFilter,
  ListFilter,
  ResourceChange,
  ResourceEvent,
  ResourceStore,
  WriteCondition,
} from "./resource-store.ts";
import { formatKey, keyId, keyOf, type Resource, type ResourceDraft, type ResourceKey } from "./resource.ts";

export interface ResourceStoreOptions {
  /** The database; made, with its folder, when there is none. SQLite keeps `<path>-wal` beside it. */
  readonly path: string;
  /** The key for Secrets, 32 bytes in base 64; made when there is none and no Secret either. */
  readonly keyFile: string;
  readonly clock: Clock;
  readonly log: Log;
}

const stateRow = z.object({ version: z.number() });

/**
 * Opens the objects of a control plane. To be disposed of by whoever opened it. Throws `locked` while another process has
 * them; `config` for a database that is damaged, of a newer Tidemark or not Tidemark's, and for a key file that is gone,
 * not its own, or open to others; `file-io`, `disk-full`.
 */
export async function openResourceStore({
  path,
  keyFile,
  clock,
  log,
}: ResourceStoreOptions): Promise<ResourceStore> {
  const database = await openDatabase(path);
  try {
    const key = await databaseKey({ database, path, keyFile });
    const rows = new ResourceRows(database, { path, key });
    return new SqliteResourceStore({ database, path, rows, clock, log });
  } catch (error) {
    database.close();
    throw databaseError("read", path, error);
  }
}

/**
 * Every writing has four steps: decide what changes (`planned-changes.ts`), write that as one transaction, take it up in
 * memory, tell of it. Before the second has ended nothing has happened; after it nothing can fail.
 */
class SqliteResourceStore implements ResourceStore {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #rows: ResourceRows;
  readonly #clock: Clock;
  readonly #feed: ChangeFeed;
  readonly #events: EventLog;
  readonly #saveVersion: StatementSync;
  readonly #objects: ResourceIndex;
  #version: number;

  constructor(parts: {
    readonly database: DatabaseSync;
    readonly path: string;
    readonly rows: ResourceRows;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#database = parts.database;
    this.#path = parts.path;
    this.#rows = parts.rows;
    this.#clock = parts.clock;
    this.#feed = new ChangeFeed(parts.log);
    this.#events = new EventLog(parts.database);
    this.#saveVersion = parts.database.prepare("UPDATE state SET version = ?");
    this.#objects = new ResourceIndex(parts.rows.load());
    this.#version = stateRow.parse(parts.database.prepare("SELECT version FROM state").get()).version;
  }

  get version(): string {
    return String(this.#version);
  }

  create(draft: ResourceDraft): Resource {
    return firstOf(this.#commit(planCreate(draft, randomUUID(), this.#facts())));
  }

  get(key: ResourceKey): Resource | undefined {
    return this.#objects.get(key);
  }

  require(key: ResourceKey): Resource {
    const found = this.#objects.get(key);
    if (found !== undefined) return found;
    throw new EngineError("resource-missing", `there is no "${formatKey(key)}"`, {
      hint: "Are its name and its namespace right?",
    });
  }

  list(filter: ListFilter = {}): readonly Resource[] {
    return this.#objects.list(filter);
  }

  update(draft: ResourceDraft, condition: WriteCondition = {}): Resource {
    const current = this.require(draft);
    requireSameUid(current, condition);
    requireSameVersion(current, condition);
    const changes = this.#commit(planUpdate(current, draft, this.#facts()));
    return changes.length === 0 ? current : firstOf(changes);
  }

  putAll(drafts: readonly ResourceDraft[]): readonly Resource[] {
    requireDistinct(drafts);
    const facts = this.#facts();
    const planned = drafts.flatMap((draft) => {
      const current = this.#objects.get(draft);
      if (current === undefined) return planCreate(draft, randomUUID(), facts);
      requireLiving(current);
      return planUpdate(current, draft, facts);
    });
    this.#commit(planned);
    return drafts.map((draft) => this.require(draft));
  }

  setStatus(
    key: ResourceKey,
    status: Readonly<Record<string, unknown>>,
    condition: WriteCondition,
  ): Resource | undefined {
    const current = this.#objects.get(key);
    if (current === undefined) return undefined;
    if (condition.ifUid !== undefined && condition.ifUid !== current.metadata.uid) return undefined;
    requireSameVersion(current, condition);
    const changes = this.#commit(planStatus(current, status));
    return changes.length === 0 ? current : firstOf(changes);
  }

  delete(key: ResourceKey, condition: WriteCondition = {}): "deleted" | "marked" | "absent" {
    const current = this.#objects.get(key);
    if (current === undefined) return "absent";
    requireSameUid(current, condition);
    requireSameVersion(current, condition);
    this.#commit(planDelete(current, this.#facts()));
    return this.#objects.hasUid(current.metadata.uid) ? "marked" : "deleted";
  }

  subscribe(listener: (change: ResourceChange) => void): () => void {
    return this.#feed.subscribe(listener, this.#version);
  }

  recordEvent(event: EventDraft): void {
    this.#write(() => this.#events.record(event, this.#clock.now()));
  }

  events(filter: EventFilter = {}): readonly ResourceEvent[] {
    try {
      return this.#events.list(filter, this.#clock.now());
    } catch (error) {
      throw databaseError("read", this.#path, error);
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #facts(): PlanFacts {
    return { objects: this.#objects, now: this.#clock.now() };
  }

  /** Makes planned changes true, and gives them as they became. */
  #commit(planned: readonly ResourceChange[]): readonly ResourceChange[] {
    if (planned.length === 0) return [];
    const changes = numbered(planned, this.#version);
    const version = this.#version + changes.length;
    this.#write(() => {
      for (const change of changes) this.#rows.write(change);
      this.#saveVersion.run(version);
    });
    this.#version = version;
    for (const change of changes) this.#objects.apply(change);
    this.#feed.tell(changes);
    return changes;
  }

  #write(work: () => void): void {
    assert(this.#database.isOpen, "nothing is written to a store that was disposed of");
    inTransaction(this.#database, this.#path, work);
  }
}

/** Gives each change its version, one behind the other, and freezes it. */
function numbered(planned: readonly ResourceChange[], version: number): readonly ResourceChange[] {
  return planned.map(({ type, resource }, index) =>
    deeplyFrozen({
      type,
      resource: {
        ...resource,
        metadata: { ...resource.metadata, resourceVersion: String(version + 1 + index) },
      },
    }),
  );
}

/** Of the object that was asked for; what else changes with it comes behind. */
function firstOf(changes: readonly ResourceChange[]): Resource {
  const first = changes[0];
  assert(first !== undefined, "a change has an object");
  return first.resource;
}

/** Changes that are planned together must not touch one object twice. */
function requireDistinct(drafts: readonly ResourceDraft[]): void {
  const seen = new Set<string>();
  for (const draft of drafts) {
    const id = keyId(draft);
    if (seen.has(id)) {
      throw new EngineError("resource-conflict", `"${formatKey(draft)}" is written twice at once`);
    }
    seen.add(id);
  }
}

function requireLiving(current: Resource): void {
  if (current.metadata.deletionTimestamp === undefined) return;
  throw new EngineError("resource-conflict", `"${formatKey(keyOf(current))}" is being deleted`, {
    hint: "Write it again when it is gone.",
  });
}

function requireSameUid(current: Resource, { ifUid }: WriteCondition): void {
  if (ifUid === undefined || ifUid === current.metadata.uid) return;
  throw new EngineError(
    "resource-conflict",
    `"${formatKey(keyOf(current))}" has the uid ${current.metadata.uid}, not ${ifUid}: it was deleted and made again`,
    { hint: "Read it again: it is another object now." },
  );
}

function requireSameVersion(current: Resource, { ifVersion }: WriteCondition): void {
  const { resourceVersion } = current.metadata;
  if (ifVersion === undefined || ifVersion === resourceVersion) return;
  throw new EngineError(
    "resource-conflict",
    `"${formatKey(keyOf(current))}" has been changed: its version is ${resourceVersion}, not ${ifVersion}`,
    { hint: "Read it again, and make the change on what it is now." },
  );
}
