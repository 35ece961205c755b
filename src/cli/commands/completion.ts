import type { Command } from "commander";
import { EngineError } from "../../common/errors.ts";
import { completionScript, shells } from "../completion.ts";

/** `tidemark completion`. Throws `usage` for a shell that is not known. */
export function run(shell: string, program: Command): void {
  const known = shells.find((name) => name === shell);
  if (known === undefined) {
    throw new EngineError("usage", `there is no completion for "${shell}"`, {
      hint: `Use ${shells.join(", ")}.`,
    });
  }
  process.stdout.write(completionScript(program, known));
}
