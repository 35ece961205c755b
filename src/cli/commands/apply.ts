import { EngineError } from "../../common/errors.ts";
import type { ApplyResult } from "../../control/admission/apply-result.ts";
import { requireAccepted, sendTexts, showApplied } from "../control/apply-texts.ts";
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
  const client = await connectFor(options);
  const result = await sendTexts(client, texts, {
    namespace: options.namespace,
    ignoreUnknown: options.ignoreUnknown,
    ignoredRules: options.ignore,
    dryRun: isDryRun,
    signal,
  });
  requireObjects(result, options.file ?? []);
  if (format === "json") process.stdout.write(formatJson(result));
  else showApplied(result, { isDryRun, hasChanges: options.diff === true });
  requireAccepted(result);
}

/** kubectl wants to be told where; here it is always the control plane that says what would happen. */
function parseDryRun(value: boolean | string | undefined): boolean {
  if (value === undefined || value === false || value === "none") return false;
  if (value === true || value === "server" || value === "client") return true;
  throw new EngineError("usage", `--dry-run is "${value}", but takes no value, or server`);
}

function requireObjects({ objects, findings }: ApplyResult, paths: readonly string[]): void {
  if (objects.length > 0 || findings.length > 0) return;
  throw new EngineError("usage", `there is no manifest in ${paths.map((path) => `"${path}"`).join(", ")}`);
}
