import type { KeyObject } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { fingerprintOf, makeKeyFile, readKeyFile } from "./key-file.ts";
import { inTransaction } from "./open-database.ts";

export interface DatabaseKeyOptions {
  readonly database: DatabaseSync;
  readonly path: string;
  readonly keyFile: string;
}

const facts = z.object({ sealed: z.number(), fingerprint: z.string().nullable() });

/**
 * The key for a database's sealed rows. The key file is made when there is none and nothing has been sealed yet. Throws
 * `config` for a key file that is gone, not the database's, or open to others.
 *
 * The file is durable before its fingerprint is noted, and that before anything is sealed: a crash between any two leaves a
 * key that the next opening takes.
 */
export async function databaseKey({ database, path, keyFile }: DatabaseKeyOptions): Promise<KeyObject> {
  const found = await readKeyFile(keyFile);
  const { sealed, fingerprint } = facts.parse(
    database
      .prepare(
        `SELECT key_fingerprint AS fingerprint, (SELECT count(*) FROM object WHERE sealed IS NOT NULL) AS sealed
         FROM state`,
      )
      .get(),
  );
  if (sealed > 0) return requireKey(found, fingerprint, { path, keyFile, sealed });
  const key = found ?? (await makeKeyFile(keyFile));
  if (fingerprintOf(key) !== fingerprint) {
    inTransaction(database, path, () =>
      database.prepare("UPDATE state SET key_fingerprint = ?").run(fingerprintOf(key)),
    );
  }
  return key;
}

function requireKey(
  key: KeyObject | undefined,
  fingerprint: string | null,
  names: { readonly path: string; readonly keyFile: string; readonly sealed: number },
): KeyObject {
  const secrets = `the ${names.sealed} Secrets in the database "${names.path}"`;
  const hint =
    "Put the right key file back: without it they cannot be read. If it is lost, move the database away and apply the manifests again.";
  if (key === undefined) {
    throw new EngineError("config", `the key file "${names.keyFile}" of ${secrets} does not exist`, { hint });
  }
  if (fingerprintOf(key) !== fingerprint) {
    throw new EngineError("config", `the key file "${names.keyFile}" is not the one of ${secrets}`, { hint });
  }
  return key;
}
