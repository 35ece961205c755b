import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { formatBytes } from "../../common/units.ts";
import { confirm } from "../confirm.ts";
import type { ControlClient } from "../control-client.ts";
import type { ObjectName } from "../deletion-text.ts";
import { shortName } from "../kind-arguments.ts";

/** As much of the answer as is shown. */
const answerSchema = z.object({
  repositories: z.array(
    z.object({
      repository: z.string(),
      backupId: z.string(),
      objects: z.number(),
      bytes: z.number(),
      walObjects: z.number(),
      walBytes: z.number(),
    }),
  ),
});

/** `tidemark delete backup … --purge`: what goes from each repository, a question, and then it goes. Throws `usage` for other kinds. */
export async function purgeBackups(
  client: ControlClient,
  targets: readonly ObjectName[],
  options: { readonly dryRun?: boolean; readonly yes?: boolean; readonly force?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const other = targets.find(({ kind }) => kind !== "Backup");
  if (other !== undefined) {
    throw new EngineError(
      "usage",
      `--purge is for Backups, and ${shortName(other.kind, other.name)} is none`,
    );
  }
  const purge = async ({ namespace, name }: ObjectName, isDryRun: boolean) =>
    answerSchema.parse(
      await client.request(
        `/tidemark/v1/namespaces/${encodeURIComponent(namespace)}/backups/${encodeURIComponent(name)}/purge`,
        { method: "POST", body: { dryRun: isDryRun, force: options.force === true }, signal },
      ),
    );
  for (const target of targets) {
    const { repositories } = await purge(target, true);
    process.stderr.write(`${shortName(target.kind, target.name)} is deleted with its data:\n`);
    for (const { repository, backupId, bytes, walObjects, walBytes } of repositories) {
      const wal =
        walObjects === 0
          ? "no WAL goes with it"
          : `${walObjects} WAL files (${formatBytes(walBytes)}) that only it needs`;
      process.stderr.write(`  from ${repository}: ${backupId}, ${formatBytes(bytes)}; ${wal}\n`);
    }
  }
  if (options.dryRun === true) return;
  await confirm("Delete? It cannot be brought back.", options, signal);
  for (const target of targets) {
    await purge(target, false);
    process.stdout.write(`${shortName(target.kind, target.name)} purged\n`);
  }
}
