import { EngineError } from "../../common/errors.ts";
import { applyResultSchema, type ApplyResult } from "../../control/admission/apply-result.ts";
import type { ApplyRequest } from "../../http/apply-routes.ts";
import { formatApplied, formatFinding } from "../apply-output.ts";
import { connectFor } from "../control-client.ts";
import type { NamespaceOptions } from "../control-options.ts";
import { readManifestFiles } from "../manifest-files.ts";
import { formatJson, parseOutputFormat } from "../output.ts";

export interface ApplyCommandOptions extends NamespaceOptions {
  readonly file?: readonly string[];
  /** `--dry-run`, or with kubectl's words for where it happens. */
  readonly dryRun?: boolean | string;
  readonly diff?: boolean;
  readonly ignore?: readonly string[];
  readonly ignoreUnknown?: boolean;
}

/** `tidemark apply`. Throws `manifest` when the manifests are refused; then nothing was changed. */
export async function run(options: ApplyCommandOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const isDryRun = parseDryRun(options.dryRun);
  const texts = await readManifestFiles(options.file ?? []);
  const request: ApplyRequest = {
    texts: texts.map(({ path, text }) => ({ path, text })),
    dryRun: isDryRun,
    ignoreUnknown: options.ignoreUnknown,
    ignoredRules: options.ignore === undefined ? undefined : [...options.ignore],
    defaultNamespace: options.namespace,
    requireNamespace: options.namespace !== undefined,
  };
  const client = await connectFor(options);
  const answer = await client.request("/tidemark/v1/apply", { method: "POST", body: request, signal });
  const result = applyResultSchema.parse(answer);
  requireObjects(result, options.file ?? []);
  show(result, { format, isDryRun, hasChanges: options.diff === true });
  requireAccepted(result);
}

/** kubectl wants to be told where; here it is always the control plane that says what would happen. */
function parseDryRun(value: boolean | string | undefined): boolean {
  if (value === undefined || value === false || value === "none") return false;
  if (value === true || value === "server" || value === "client") return true;
  throw new EngineError("usage", `--dry-run is "${value}", but takes no value, or server`);
}

function show(
  result: ApplyResult,
  given: { readonly format: "text" | "json"; readonly isDryRun: boolean; readonly hasChanges: boolean },
): void {
  if (given.format === "json") {
    process.stdout.write(formatJson(result));
    return;
  }
  for (const finding of result.findings) process.stderr.write(formatFinding(finding));
  if (result.outcome === "refused") return;
  for (const object of result.objects) process.stdout.write(formatApplied(object, given));
}

function requireObjects({ objects, findings }: ApplyResult, paths: readonly string[]): void {
  if (objects.length > 0 || findings.length > 0) return;
  throw new EngineError("usage", `there is no manifest in ${paths.map((path) => `"${path}"`).join(", ")}`);
}

function requireAccepted({ outcome, findings }: ApplyResult): void {
  if (outcome !== "refused") return;
  const count = findings.filter(({ severity }) => severity === "error").length;
  throw new EngineError(
    "manifest",
    `nothing was applied: the manifests have ${count} ${count === 1 ? "error" : "errors"}`,
    { hint: "tidemark lint --explain RULE says more of each, and --fix corrects what can be corrected." },
  );
}
