import { z } from "zod";
import { codecNames } from "../../codec/codec.ts";
import { sslModes } from "../../postgres/connection-settings.ts";
import { keySelector, objectOf, retentionPolicy } from "./common.ts";
import { absolutePath, dnsLabel, uniquelyNamed } from "./values.ts";

/** Server: a PostgreSQL that is there already, and that somebody else starts. docs/server.md says what each field does. */

/** bzip2 is left out: it is read, and never written. */
const compression = z.enum(codecNames).exclude(["bzip2"]);

const connection = z.strictObject({
  /** A host name or address, or the folder of the server's socket. */
  host: z.string().min(1).optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  user: z.string().min(1).optional(),
  database: z.string().min(1).optional(),
  /** Without it the server must let the user in by itself, as `peer` does over its socket. */
  password: keySelector.optional(),
  sslMode: z.enum(sslModes).optional(),
  /** Certificate authorities, for `verify-ca` and `verify-full`. */
  sslRootCert: keySelector.optional(),
});

/** One repository: an ObjectStore of the same namespace, and the server's name in it. */
const store = z.strictObject({
  name: z.string().min(1),
  /** One step of an object key; see `src/repository/server-name.ts`. */
  serverName: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
      "not 1 to 128 letters, digits, dots, dashes and underscores that begin with a letter or digit",
    )
    .optional(),
});

const schedule = z.strictObject({
  name: dnsLabel,
  /** Six fields, as in a ScheduledBackup. */
  schedule: z.string(),
  immediate: z.boolean().optional(),
  suspend: z.boolean().optional(),
});

export const server = objectOf(
  "tidemark.dev/v1alpha1",
  "Server",
  z.strictObject({
    /** PostgreSQL's own, on this machine. */
    dataDirectory: absolutePath,
    /** Where its programs are; left out, they are looked for. */
    binDirectory: absolutePath.optional(),
    /** For acknowledgements and prefetched WAL; beside the data directory when left out. */
    spoolDirectory: absolutePath.optional(),
    connection: connection.optional(),
    /** The first one is read from first. */
    stores: z.array(store).min(1, "at least one store is needed"),
    /** Who must have a WAL file before PostgreSQL may recycle it: `all`, `any`, a number of stores, or names of them. */
    archivePolicy: z
      .union(
        [z.string().min(1), z.number().int().min(1), z.array(z.string().min(1)).min(1)],
        "neither all, nor any, nor a number of stores, nor names of them",
      )
      .optional(),
    /** What is not said here is as the first store has it. */
    wal: z
      .strictObject({ compression: compression.optional(), maxParallel: z.number().int().min(1).optional() })
      .optional(),
    backup: z
      .strictObject({
        compression: compression.optional(),
        jobs: z.number().int().min(1).optional(),
        immediateCheckpoint: z.boolean().optional(),
      })
      .optional(),
    schedules: uniquelyNamed(schedule).optional(),
    /** Of this server's part of every store, in the place of the stores' own. */
    retentionPolicy: retentionPolicy.optional(),
  }),
);
