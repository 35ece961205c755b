import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { EngineError } from "../../common/errors.ts";

/** The number in SQLite's `user_version`. A change of the tables gets the next one, and a step here from the one before. */
const schemaVersion = 1;

/**
 * An object is one row: what it is found by, and all the rest as JSON in `plain`, or encrypted in `sealed`
 * (`resource-rows.ts`). `state` has one row: the version of the last change, and the fingerprint of the key that rows
 * were sealed with.
 */
const tables = `
  CREATE TABLE object (
    uid TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    plain TEXT,
    sealed BLOB,
    UNIQUE (kind, namespace, name),
    CHECK ((plain IS NULL) <> (sealed IS NULL))
  ) STRICT;

  CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX event_same ON event (uid, reason);
  CREATE INDEX event_newest ON event (namespace, last_ms);
  CREATE INDEX event_age ON event (last_ms);

  CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL,
    key_fingerprint TEXT
  ) STRICT;
  INSERT INTO state VALUES (1, 0, NULL);
`;

const versionRow = z.object({ user_version: z.number() });
const countRow = z.object({ count: z.number() });

/**
 * Makes the tables in an empty database, and leaves ours as it is; within a transaction of the caller's. Throws `config`
 * for a database of a newer Tidemark, and for one that is not Tidemark's.
 */
export function prepareSchema(database: DatabaseSync, path: string): void {
  const version = versionRow.parse(database.prepare("PRAGMA user_version").get()).user_version;
  if (version === schemaVersion) return;
  if (version !== 0) {
    throw new EngineError(
      "config",
      `the database "${path}" has format ${version}, but this Tidemark knows only format ${schemaVersion}`,
      { hint: "A newer Tidemark has written it: use that version, or one that is newer still." },
    );
  }
  const { count } = countRow.parse(database.prepare("SELECT count(*) AS count FROM sqlite_schema").get());
  if (count > 0) {
    throw new EngineError("config", `the database "${path}" is not one of Tidemark's`, {
      hint: "It belongs to another program: give Tidemark a folder of its own.",
    });
  }
  database.exec(tables);
  database.exec(`PRAGMA user_version = ${schemaVersion}`);
}
