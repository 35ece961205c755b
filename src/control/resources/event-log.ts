import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import type { EventDraft, EventFilter, ResourceEvent } from "./resource-store.ts";

const hourMs = 3_600_000;

/** An event that comes again within this time counts up; later it is another one. */
const sameWithinMs = hourMs;
const keptMs = 7 * 24 * hourMs;
const keptPerNamespace = 1000;

const eventRow = z.object({
  uid: z.string(),
  kind: z.string(),
  namespace: z.string(),
  name: z.string(),
  type: z.enum(["Normal", "Warning"]),
  reason: z.string(),
  message: z.string(),
  count: z.number(),
  first_ms: z.number(),
  last_ms: z.number(),
});
const idRow = z.object({ id: z.number() }).optional();

/** What happened to objects. Nothing here begins or ends a transaction. */
export class EventLog {
  readonly #find: StatementSync;
  readonly #countUp: StatementSync;
  readonly #insert: StatementSync;
  readonly #forgetOld: StatementSync;
  readonly #forgetMany: StatementSync;
  readonly #list: StatementSync;

  constructor(database: DatabaseSync) {
    this.#find = database.prepare(
      `SELECT id FROM event
       WHERE uid = :uid AND type = :type AND reason = :reason AND message = :message AND last_ms > :since
       ORDER BY last_ms DESC LIMIT 1`,
    );
    // A clock that was set back must not make an event older than it is.
    this.#countUp = database.prepare(
      "UPDATE event SET count = count + 1, last_ms = max(last_ms, :now) WHERE id = :id",
    );
    this.#insert = database.prepare(
      `INSERT INTO event (uid, kind, namespace, name, type, reason, message, count, first_ms, last_ms)
       VALUES (:uid, :kind, :namespace, :name, :type, :reason, :message, 1, :now, :now)`,
    );
    this.#forgetOld = database.prepare("DELETE FROM event WHERE last_ms <= :oldest");
    this.#forgetMany = database.prepare(
      `DELETE FROM event WHERE id IN (
         SELECT id FROM event WHERE namespace = :namespace
         ORDER BY last_ms DESC, id DESC LIMIT -1 OFFSET ${keptPerNamespace})`,
    );
    this.#list = database.prepare(
      `SELECT uid, kind, namespace, name, type, reason, message, count, first_ms, last_ms FROM event
       WHERE last_ms > :oldest
         AND (:namespace IS NULL OR namespace = :namespace)
         AND (:aboutName IS NULL
           OR (kind = :aboutKind AND namespace = :aboutNamespace AND name = :aboutName))
       ORDER BY last_ms DESC, id DESC LIMIT :limit`,
    );
  }

  record({ about, type, reason, message }: EventDraft, now: Date): void {
    const { uid, namespace, name } = about.metadata;
    const nowMs = now.getTime();
    this.#forgetOld.run({ oldest: nowMs - keptMs });
    const same = idRow.parse(this.#find.get({ uid, type, reason, message, since: nowMs - sameWithinMs }));
    if (same !== undefined) {
      this.#countUp.run({ id: same.id, now: nowMs });
      return;
    }
    this.#insert.run({ uid, kind: about.kind, namespace, name, type, reason, message, now: nowMs });
    this.#forgetMany.run({ namespace });
  }

  /** Oldest first, by when they happened last. */
  list({ namespace, about, limit }: EventFilter, now: Date): ResourceEvent[] {
    const rows = this.#list.all({
      oldest: now.getTime() - keptMs,
      namespace: namespace ?? null,
      aboutKind: about?.kind ?? null,
      aboutNamespace: about?.namespace ?? null,
      aboutName: about?.name ?? null,
      // SQLite: a negative limit is none.
      limit: limit ?? -1,
    });
    return rows.map((row) => toEvent(eventRow.parse(row))).reverse();
  }
}

function toEvent({
  uid,
  kind,
  namespace,
  name,
  type,
  reason,
  message,
  count,
  ...times
}: z.infer<typeof eventRow>) {
  return {
    about: { kind, namespace, name, uid },
    type,
    reason,
    message,
    count,
    firstTime: new Date(times.first_ms).toISOString(),
    lastTime: new Date(times.last_ms).toISOString(),
  };
}
