import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { backupPhases } from "../../control/backups/backup-status.ts";
import type { ControlClient } from "../control-client.ts";
import { formatFacts, formatJson } from "../output.ts";
import { backupFacts, requireInAll } from "./backup-facts.ts";
import { parseServer, serverListPath, serverPath, type ServerObject } from "./server-resource.ts";
import { waitForBackup } from "./wait-for-backup.ts";

type ServerBackup = ServerObject["status"]["backups"][number];

const requested = z.object({ backup: z.string() });

/** `tidemark backup server/NAME`: asks for a base backup, and waits for its end. Throws `backup-failed`, `usage`. */
export async function backUpServer(
  client: ControlClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  options: {
    readonly backupName?: string;
    readonly target?: string;
    readonly wait: boolean;
    readonly format: "text" | "json";
  },
  signal: AbortSignal,
): Promise<void> {
  const { backupName, target, wait, format } = options;
  if (target !== undefined) {
    throw new EngineError("usage", "a Server is one PostgreSQL, which has no --target");
  }
  const body = backupName === undefined ? {} : { name: backupName };
  const { backup } = requested.parse(
    await client.request(`${serverPath(namespace, name)}/backups`, { method: "POST", body, signal }),
  );
  if (format === "text") process.stdout.write(`backup ${backup} of server/${name} requested\n`);
  if (!wait) {
    if (format === "json") process.stdout.write(formatJson({ name: backup, phase: backupPhases.pending }));
    return;
  }
  const ended = await waitForBackup<ServerBackup>(
    {
      client,
      path: serverListPath(namespace),
      name,
      read: (object) => parseServer(object).status.backups.find((entry) => entry.name === backup),
      statusOf: (entry) => entry,
      what: `backup "${backup}"`,
      look: `tidemark describe server ${name} -n ${namespace}`,
      afterwards: "it cannot be given up.",
    },
    signal,
  );
  if (format === "json") process.stdout.write(formatJson(ended));
  if (ended.phase !== backupPhases.completed) {
    throw new EngineError(
      "backup-failed",
      `backup "${backup}" of Server ${namespace}/${name} has failed: ${ended.error ?? ended.phase}`,
      { hint: `tidemark describe server ${name} -n ${namespace} says more.` },
    );
  }
  if (format === "text") process.stdout.write(formatFacts(backupFacts(ended)));
  requireInAll(`backup "${backup}" of Server ${namespace}/${name}`, ended);
}
