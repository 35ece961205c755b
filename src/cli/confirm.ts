import { createInterface } from "node:readline/promises";
import { throwIfAborted } from "../common/abort.ts";
import { EngineError } from "../common/errors.ts";

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/**
 * Asks on the terminal before something is destroyed. Throws `usage` when there is no terminal to ask on, `aborted` on
 * anything but a yes, Ctrl-C and the end of the input included.
 */
export async function confirm(
  question: string,
  options: { readonly yes?: boolean },
  signal: AbortSignal,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<void> {
  if (options.yes === true) return;
  if (input.isTTY !== true) {
    throw new EngineError("usage", "this needs a confirmation, and there is no terminal to ask on", {
      hint: "Add --yes when you have seen the plan (--dry-run).",
    });
  }
  const lines = createInterface({ input, output, terminal: true });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } catch (error) {
    throwIfAborted(signal);
    if (!(error instanceof Error) || error.name !== "AbortError") throw error;
  } finally {
    lines.close();
  }
  throw new EngineError("aborted", "nothing was changed");
}
