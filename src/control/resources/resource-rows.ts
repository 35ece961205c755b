import type { KeyObject } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import { damagedDatabase } from "./database-error.ts";
import { deeplyFrozen } from "./frozen-json.ts";
import type { ResourceChange } from "./resource-store.ts";
import { formatKey, type Resource } from "./resource.ts";
import { seal, unseal } from "./seal.ts";

/** Kinds of which nothing but their names may be on the disk in the clear: labels and annotations hold secrets, too. */
const sealedKinds: ReadonlySet<string> = new Set(["Secret"]);

const rowSchema = z.object({
  uid: z.string(),
  kind: z.string(),
  namespace: z.string(),
  name: z.string(),
  version: z.number(),
  plain: z.string().nullable(),
  sealed: z.instanceof(Uint8Array).nullable(),
});
type Row = Omit<z.infer<typeof rowSchema>, "sealed"> & { readonly sealed: Uint8Array | null };

const texts = z.record(z.string(), z.string());
const anything = z.record(z.string(), z.unknown());

/** What a row holds besides its columns. */
const bodySchema = z.strictObject({
  apiVersion: z.string(),
  generation: z.number(),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().optional(),
  labels: texts,
  annotations: texts,
  ownerReferences: z.array(
    z.strictObject({ apiVersion: z.string(), kind: z.string(), name: z.string(), uid: z.string() }),
  ),
  finalizers: z.array(z.string()),
  content: anything,
  status: anything.optional(),
});

/** Objects as rows of the database. Nothing here begins or ends a transaction. */
export class ResourceRows {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #key: KeyObject;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync, options: { readonly path: string; readonly key: KeyObject }) {
    this.#database = database;
    this.#path = options.path;
    this.#key = options.key;
    this.#put = database.prepare(
      `INSERT INTO object (uid, kind, namespace, name, version, plain, sealed)
       VALUES (:uid, :kind, :namespace, :name, :version, :plain, :sealed)
       ON CONFLICT (uid) DO UPDATE SET version = :version, plain = :plain, sealed = :sealed`,
    );
    this.#remove = database.prepare("DELETE FROM object WHERE uid = ?");
  }

  write({ type, resource }: ResourceChange): void {
    if (type === "deleted") this.#remove.run(resource.metadata.uid);
    else this.#put.run(this.#encode(resource));
  }

  /** All objects, frozen. Throws `config` for the first one that is damaged, or was sealed with another key. */
  load(): Resource[] {
    const rows = this.#database.prepare(
      "SELECT uid, kind, namespace, name, version, plain, sealed FROM object ORDER BY version",
    );
    return rows.all().map((row) => this.#decode(rowSchema.parse(row)));
  }

  #encode({ apiVersion, kind, metadata, content, status }: Resource): Row {
    const { uid, namespace, name, resourceVersion, ...rest } = metadata;
    const names = { uid, kind, namespace, name };
    const body = JSON.stringify({ apiVersion, ...rest, content, status });
    return {
      ...names,
      version: Number(resourceVersion),
      ...(sealedKinds.has(kind)
        ? { plain: null, sealed: seal(body, subjectOf(names), this.#key) }
        : { plain: body, sealed: null }),
    };
  }

  #decode(row: Row): Resource {
    try {
      const { uid, kind, namespace, name, version } = row;
      const { apiVersion, content, status, ...rest } = bodySchema.parse(JSON.parse(this.#bodyOf(row)));
      return deeplyFrozen({
        apiVersion,
        kind,
        metadata: { name, namespace, uid, resourceVersion: String(version), ...rest },
        content,
        status,
      });
    } catch {
      // Without the cause: what could not be parsed may hold a secret.
      throw damagedDatabase(this.#path, `"${formatKey(row)}" cannot be read`);
    }
  }

  #bodyOf(row: Row): string {
    // Nobody but somebody else can have put a Secret there in the clear.
    if (sealedKinds.has(row.kind) !== (row.sealed !== null)) throw new Error("unexpected form");
    return row.sealed === null ? (row.plain ?? "") : unseal(row.sealed, subjectOf(row), this.#key);
  }
}

/** What sealed bytes are bound to: bytes of another object, or under another name, cannot be opened. */
function subjectOf({ uid, kind, namespace, name }: Pick<Row, "uid" | "kind" | "namespace" | "name">): string {
  return JSON.stringify(["resource", kind, namespace, name, uid]);
}
