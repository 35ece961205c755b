import { z } from "zod";
import { sslModes } from "../../postgres/connection-settings.ts";
import { archiveSpecSchema } from "../archive-spec.ts";
import { readSpecFile } from "../process/spec-file.ts";
import type { AttachedFolder } from "./attached-folder.ts";

/**
 * What is to be done beside a PostgreSQL that somebody else runs: the file `server.json` in a folder of ours. The control plane
 * replaces it, and asks the process to read it again. It names files that hold secrets, and holds none.
 */
export const attachedSpecSchema = z.strictObject({
  format: z.literal(1),
  /** Grows with every change, so that the process can say which one it follows. */
  version: z.number().int(),
  /** `production/main` and `main`, for logs and messages. */
  server: z.string(),
  name: z.string(),
  /** Of the object that this is about: another one of its name is another server. */
  uid: z.string(),
  dataDirectory: z.string(),
  /** Where the server programs are; undefined looks for them. */
  binDirectory: z.string().optional(),
  /** The agent's: `docs/archive.md`. */
  spoolDirectory: z.string(),
  connection: z.strictObject({
    /** Undefined: the folder of the server's own socket. */
    host: z.string().optional(),
    /** Undefined: the server's own, or with a host 5432. */
    port: z.number().int().optional(),
    /** Undefined: the user that the process runs as. */
    user: z.string().optional(),
    database: z.string(),
    sslMode: z.enum(sslModes),
    /** Files of mode 0600; they are read for each session. */
    passwordFile: z.string().optional(),
    sslRootCertificate: z.string().optional(),
  }),
  archive: archiveSpecSchema,
});

export type AttachedSpec = z.infer<typeof attachedSpecSchema>;

/** Reads `server.json`. Throws `config`, with every problem and its place, when it is missing or damaged. */
export async function readAttachedSpec(folder: AttachedFolder): Promise<AttachedSpec> {
  return readSpecFile(folder.spec, attachedSpecSchema, {
    missing: `"${folder.root}" is not the folder of a server: it has no "server.json"`,
    hint: "Name the folder of a server; the control plane makes them.",
  });
}
