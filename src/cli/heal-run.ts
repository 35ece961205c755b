import type { HealProgress } from "../heal/carry-out.ts";
import { healRepositories, planRepositories, type HealOptions, type PlannedHeal } from "../heal/run-heal.ts";
import { formatHealPlan, formatHealResult, healPlanJson, healResultJson } from "./heal-output.ts";
import { explainInterruption } from "./interrupted.ts";
import { formatJson, type OutputFormat } from "./output.ts";
import { createProgressReporter } from "./progress.ts";

/**
 * Plans, shows the plan, asks where `ask` is given, and carries it out. Throws what failed after everything else was done, and the
 * trouble of a repository that could not be read.
 */
export async function planAndHeal(
  given: HealOptions,
  how: {
    readonly format: OutputFormat;
    readonly dryRun: boolean;
    readonly ask?: (planned: PlannedHeal) => Promise<void>;
  },
): Promise<void> {
  const reporter = createProgressReporter(process.stderr);
  const startedMs = performance.now();
  const onProgress = (what: string, { doneBytes, totalBytes }: HealProgress): void =>
    reporter.update({
      label: what,
      bytesDone: doneBytes,
      bytesTotal: totalBytes,
      elapsedMs: performance.now() - startedMs,
    });
  const options: HealOptions = { ...given, onProgress };
  const planned = await planRepositories(options).finally(() => reporter.finish());
  const { plan, gathered } = planned;
  const planText = formatHealPlan(plan, gathered.unread);
  if (how.format === "text") process.stdout.write(planText);
  if (how.dryRun || plan.steps.length === 0) {
    if (how.format === "json")
      process.stdout.write(formatJson({ plan: healPlanJson(plan, gathered.unread) }));
    if (!how.dryRun) throwUnread(planned);
    return;
  }
  if (how.format === "json") process.stderr.write(planText);
  await how.ask?.(planned);
  const result = await explainInterruption(
    healRepositories(options, planned).finally(() => reporter.finish()),
    "Nothing is half there: run the same command again to go on.",
  );
  if (how.format === "json") {
    process.stdout.write(
      formatJson({ plan: healPlanJson(plan, gathered.unread), ...healResultJson(result) }),
    );
  } else process.stdout.write(formatHealResult(result));
  const [failed] = result.failed;
  if (failed !== undefined) throw failed.error;
  throwUnread(planned);
}

function throwUnread({ gathered }: PlannedHeal): void {
  const [trouble] = gathered.unread;
  if (trouble !== undefined) throw trouble.error;
}
