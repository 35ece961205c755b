import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeDurableFile } from "../../common/durable-file.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import { instanceStatusSchema } from "../instance-status.ts";

/** Of a recovery: how it was planned, and where it ended. */
export const recoveryReportSchema = instanceStatusSchema.shape.recovery.unwrap();
export type RecoveryReport = z.infer<typeof recoveryReportSchema>;

const reportSchema = z.object({
  kind: z.enum(["initdb", "recovery", "clone", "copy"]),
  /** Of the call that completed it. */
  durationMs: z.number(),
  recovery: recoveryReportSchema.optional(),
});

/** How a data directory came to be. */
export type BootstrapReport = z.infer<typeof reportSchema>;

/** What the file `bootstrap.json` says: an attempt is complete, and how it went. */
const schema = z.object({ format: z.literal(1), attempt: z.string(), report: reportSchema });
type FinishedBootstrap = z.infer<typeof schema>;

/**
 * How the instance's data directory came to be, also long afterwards. Undefined when nothing says so. Throws `file-io`.
 */
export async function readBootstrapReport(folder: InstanceFolder): Promise<BootstrapReport | undefined> {
  return (await readFinishedBootstrap(folder))?.report;
}

export async function readFinishedBootstrap(folder: InstanceFolder): Promise<FinishedBootstrap | undefined> {
  const path = reportPath(folder);
  try {
    return schema.safeParse(JSON.parse(await readFile(path, "utf8"))).data;
  } catch (error) {
    // A file that is not JSON says nothing either.
    if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw fileError("read", path, error);
  }
}

export async function writeFinishedBootstrap(
  folder: InstanceFolder,
  finished: Omit<FinishedBootstrap, "format">,
  user: ServerUser | undefined,
): Promise<void> {
  const text = `${JSON.stringify({ format: 1, ...finished }, undefined, 2)}\n`;
  await writeDurableFile(reportPath(folder), text, 0o600, user);
}

function reportPath({ root }: InstanceFolder): string {
  return join(root, "bootstrap.json");
}
