import { createInterface } from "node:readline/promises";
import { EngineError } from "../common/errors.ts";

/** Asks on the terminal before something is destroyed. Throws `usage` when there is no terminal to ask on, or on a no. */
export async function confirm(
  question: string,
  options: { readonly yes?: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (options.yes === true) return;
  if (!process.stdin.isTTY) {
    throw new EngineError("usage", "this needs a confirmation, and there is no terminal to ask on", {
      hint: "Add --yes when you have seen the plan (--dry-run).",
    });
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    lines.close();
  }
  throw new EngineError("aborted", "nothing was changed");
}
