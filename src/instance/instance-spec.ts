import { z } from "zod";
import { repositorySettings } from "../repository/repository-settings.ts";
import { archiveSpecSchema } from "./archive-spec.ts";

/**
 * What one PostgreSQL instance is to be: the file `instance.json` in the instance's own folder. Whoever owns the instance
 * (the control plane) replaces it, and asks the instance's process to read it again. Credentials are in files of their own,
 * which it names. The statements of a bootstrap may hold passwords: the file is for its owner alone (mode 0600), and is
 * replaced by one without them as soon as they have been run.
 */

const application = z.strictObject({ database: z.string(), owner: z.string() });

/** How the data directory comes to be. It is looked at only while there is none. */
const bootstrap = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("initdb"),
    application,
    dataChecksums: z.boolean(),
    encoding: z.string(),
    /** Further arguments for initdb, its locale for instance. */
    arguments: z.array(z.string()),
    walSegmentSizeMib: z.number().int().optional(),
    /** Run once, as the superuser, before anybody can connect: in the databases postgres, template1 and the application's. */
    postInitSql: z.array(z.string()),
    postInitTemplateSql: z.array(z.string()),
    postInitApplicationSql: z.array(z.string()),
  }),
  z.strictObject({
    kind: z.literal("recovery"),
    server: z.string(),
    repositories: z.array(repositorySettings).min(1),
    /** As `--backup` of `tidemark base restore`: an ID, `auto` or `latest`. */
    backup: z.string(),
    timeline: z.union([z.literal("latest"), z.number().int().positive()]),
    target: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("latest") }),
      z.strictObject({ kind: z.literal("immediate") }),
      /** In the canonical form of `parseTargetTime`. */
      z.strictObject({ kind: z.literal("time"), time: z.string(), inclusive: z.boolean() }),
      /** `X/X`. */
      z.strictObject({ kind: z.literal("lsn"), lsn: z.string(), inclusive: z.boolean() }),
      z.strictObject({ kind: z.literal("xid"), xid: z.string(), inclusive: z.boolean() }),
      z.strictObject({ kind: z.literal("name"), name: z.string() }),
    ]),
    /** Made when the recovered server does not have them; undefined leaves it as it was. */
    application: application.optional(),
    /** Directory of each tablespace of the backup, by name; others go below the data directory's parent. */
    tablespaces: z.record(z.string(), z.string()),
  }),
  z.strictObject({
    kind: z.literal("clone"),
    /** What becomes a standby. Socket folder and port of the server to copy, on this machine, and its data directory. */
    host: z.string(),
    port: z.number().int(),
    dataDirectory: z.string(),
  }),
  z.strictObject({
    kind: z.literal("copy"),
    /** The primary of another cluster, as above: its data become those of a cluster of their own. */
    host: z.string(),
    port: z.number().int(),
    dataDirectory: z.string(),
    /** As of a recovery. */
    application: application.optional(),
  }),
]);

export const instanceSpecSchema = z.strictObject({
  format: z.literal(1),
  /** Grows with every change, so that the process can say which one it follows. */
  version: z.number().int(),
  /** `production/pg` and `pg-1`, for logs and messages. */
  cluster: z.string(),
  name: z.string(),
  major: z.number().int(),
  /** Where the server programs are; undefined looks for them. */
  binDirectory: z.string().optional(),
  port: z.number().int(),
  /** PostgreSQL's setting; `localhost` for a machine's own. */
  listenAddresses: z.string(),
  /** Folder for sockets, short enough for a socket's path. */
  socketDirectory: z.string(),
  /** PostgreSQL parameters, defaults included; those that the instance's process owns are not among them. */
  parameters: z.record(z.string(), z.string()),
  /** Lines for pg_hba.conf and pg_ident.conf, between the instance's own and the last ones. */
  hba: z.array(z.string()),
  ident: z.array(z.string()),
  role: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("primary") }),
    z.strictObject({
      kind: z.literal("standby"),
      /** Socket folder and port of the primary. */
      host: z.string(),
      port: z.number().int(),
    }),
  ]),
  /** What it must run: `stopped` keeps everything but ends the server. */
  wanted: z.enum(["running", "stopped"]),
  bootstrap,
  /** Undefined where nothing is to be archived. */
  archive: archiveSpecSchema.optional(),
});

export type InstanceSpec = z.infer<typeof instanceSpecSchema>;
export type InstanceBootstrap = InstanceSpec["bootstrap"];
