import { EngineError } from "../../common/errors.ts";
import { applyResultSchema, type ApplyResult } from "../../control/admission/apply-result.ts";
import type { ApplyRequest } from "../../http/apply-routes.ts";
import type { ManifestText } from "../../manifest/manifest-object.ts";
import { formatApplied, formatFinding } from "../apply-output.ts";
import type { ControlClient } from "../control-client.ts";

export interface ApplyTextsOptions {
  readonly namespace?: string | undefined;
  readonly ignoreUnknown?: boolean | undefined;
  readonly ignoredRules?: readonly string[] | undefined;
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Has the control plane apply manifests; nothing is shown. */
export async function sendTexts(
  client: ControlClient,
  texts: readonly ManifestText[],
  { namespace, ignoreUnknown, ignoredRules, dryRun, signal }: ApplyTextsOptions,
): Promise<ApplyResult> {
  const body: ApplyRequest = {
    texts: texts.map(({ path, text }) => ({ path, text })),
    dryRun,
    ignoreUnknown,
    ignoredRules: ignoredRules === undefined ? undefined : [...ignoredRules],
    defaultNamespace: namespace,
    requireNamespace: namespace !== undefined,
  };
  return applyResultSchema.parse(
    await client.request("/tidemark/v1/apply", { method: "POST", body, signal }),
  );
}

/** What was applied on standard output, what is to be said of it on standard error. */
export function showApplied(
  { outcome, findings, objects }: ApplyResult,
  given: { readonly isDryRun: boolean; readonly hasChanges: boolean },
): void {
  for (const finding of findings) process.stderr.write(formatFinding(finding));
  if (outcome === "refused") return;
  for (const object of objects) process.stdout.write(formatApplied(object, given));
}

/** Throws `manifest` when nothing was applied because of mistakes. */
export function requireAccepted({ outcome, findings }: ApplyResult): void {
  if (outcome !== "refused") return;
  const count = findings.filter(({ severity }) => severity === "error").length;
  throw new EngineError(
    "manifest",
    `nothing was applied: the manifests have ${count} ${count === 1 ? "error" : "errors"}`,
    { hint: "tidemark lint --explain RULE says more of each, and --fix corrects what can be corrected." },
  );
}

/** All of it: sends, shows, and throws `manifest` for a refusal. */
export async function applyTexts(
  client: ControlClient,
  texts: readonly ManifestText[],
  options: ApplyTextsOptions,
): Promise<void> {
  const result = await sendTexts(client, texts, options);
  showApplied(result, { isDryRun: false, hasChanges: false });
  requireAccepted(result);
}
