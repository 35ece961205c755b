import { deleteBackup, type DeletionPlan } from "../../backup/delete-backup.ts";
import { findDeletionTarget } from "../../backup/deletion-target.ts";
import { deleteIncompleteBackups, type IncompleteDeletion } from "../../backup/incomplete.ts";
import { EngineError } from "../../common/errors.ts";
import { formatBytes } from "../../common/units.ts";
import type { Repository } from "../../repository/repository.ts";
import { confirm } from "../confirm.ts";
import { openContext } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";
import { formatJson, parseOutputFormat } from "../output.ts";

interface BaseDeleteOptions extends RepositoryOptions {
  readonly incomplete?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly yes?: boolean;
}

/** `tidemark base delete`: shows what goes, asks, and deletes, in every repository that holds it. */
export async function run(
  wanted: string | undefined,
  options: BaseDeleteOptions,
  signal: AbortSignal,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  if ((wanted === undefined) === (options.incomplete !== true)) {
    throw new EngineError("usage", "give either a backup or --incomplete", {
      hint: 'For example "tidemark base delete 20261121T090727", or "tidemark base delete --incomplete".',
    });
  }
  await using context = await openContext(options, signal);
  const target =
    wanted === undefined ? undefined : await findDeletionTarget(context.repositories, wanted, signal);
  for (const repository of target?.repositories ?? context.repositories) {
    const results =
      target === undefined
        ? await deleteLeftovers(repository, options, signal)
        : await deleteOne(repository, target.id, options, signal);
    process.stdout.write(
      format === "json" ? formatJson({ repository: repository.name, ...results.json }) : results.text,
    );
  }
}

interface Rendered {
  readonly text: string;
  readonly json: Record<string, unknown>;
}

async function deleteOne(
  repository: Repository,
  backup: string,
  options: BaseDeleteOptions,
  signal: AbortSignal,
): Promise<Rendered> {
  const request = { repository, backup, force: options.force === true, signal };
  const plan = await deleteBackup({ ...request, now: new Date(), dryRun: true });
  const text = planText(repository, plan);
  if (options.dryRun === true) return { text, json: { dryRun: true, ...planJson(plan) } };
  if (options.yes !== true) process.stderr.write(text);
  await confirm("Delete?", options, signal);
  const done = await deleteBackup({ ...request, now: new Date() });
  return { text: `deleted ${done.id} from ${repository.name}\n`, json: { dryRun: false, ...planJson(done) } };
}

function planText(repository: Repository, plan: DeletionPlan): string {
  const wal =
    plan.wal.kind === "prune"
      ? `and ${plan.wal.objects.length} WAL files that only it needs`
      : `and no WAL: ${plan.wal.reason}`;
  return `${repository.name}: backup ${plan.id} (${plan.kind}), ${plan.objects} objects, ${formatBytes(plan.bytes)}; ${wal}\n`;
}

function planJson({ id, kind, objects, bytes, wal }: DeletionPlan): Record<string, unknown> {
  const walFiles = wal.kind === "prune" ? wal.objects.map(({ file }) => file.name) : [];
  return { id, state: kind, objects, bytes, walFiles, reason: wal.kind === "prune" ? null : wal.reason };
}

async function deleteLeftovers(
  repository: Repository,
  options: BaseDeleteOptions,
  signal: AbortSignal,
): Promise<Rendered> {
  const request = { now: new Date(), force: options.force === true, signal };
  const planned = await deleteIncompleteBackups(repository, { ...request, dryRun: true });
  if (options.dryRun === true || planned.every(({ outcome }) => outcome.kind === "spared"))
    return leftovers(repository, planned);
  if (options.yes !== true) process.stderr.write(leftovers(repository, planned).text);
  await confirm("Delete?", options, signal);
  return leftovers(repository, await deleteIncompleteBackups(repository, request));
}

function leftovers(repository: Repository, results: readonly IncompleteDeletion[]): Rendered {
  if (results.length === 0)
    return { text: `${repository.name}: nothing incomplete\n`, json: { incomplete: [] } };
  const lines = results.map(({ backup, outcome }) => {
    const detail = outcome.kind === "deleted" ? "" : `: ${outcome.reason}`;
    return `${repository.name}: ${backup.id} ${outcome.kind}${detail}\n`;
  });
  return {
    text: lines.join(""),
    json: { incomplete: results.map(({ backup, outcome }) => ({ id: backup.id, ...outcome })) },
  };
}
