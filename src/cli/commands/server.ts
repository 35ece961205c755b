import { systemClock } from "../../common/clock.ts";
import { attachedFolder } from "../../instance/attached/attached-folder.ts";
import { runAttached } from "../../instance/attached/run-attached.ts";
import { createCommandLog } from "../context.ts";
import { becomeServerUser } from "../privileges.ts";
import { selfProgram } from "../self-command.ts";

/** `tidemark server run`: until it is stopped. */
export async function run(
  folder: string,
  options: { readonly logLevel?: string },
  signal: AbortSignal,
): Promise<void> {
  const log = createCommandLog(options);
  const { root } = attachedFolder(folder);
  // Of its owner, who is PostgreSQL's: the control plane has seen to that.
  await becomeServerUser(root);
  await runAttached({ folder: root, program: selfProgram(), clock: systemClock, log, signal });
}
