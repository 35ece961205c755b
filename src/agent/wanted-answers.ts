import { join } from "node:path";
import { describeError, type EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { removeFile, writeSpoolFile, type Spool } from "./spool.ts";

/** Tells the script that waits for a WAL file how that ended: acknowledged, or refused and why. Never rejects. */
export async function answerWanted(
  name: string,
  error: EngineError | undefined,
  { spool, log }: { readonly spool: Spool; readonly log: Log },
): Promise<void> {
  try {
    if (error !== undefined) await writeSpoolFile(join(spool.refused, name), refusalText(name, error), spool);
    await removeFile(join(spool.want, name));
  } catch (failure) {
    log.error("could not answer a waiting archive_command", {
      segment: name,
      error: describeError(failure),
    });
  }
}

/** What PostgreSQL's log shows. */
function refusalText(name: string, error: EngineError): string {
  const hint = error.hint === undefined ? "" : `tidemark: ${error.hint}\n`;
  return `tidemark: WAL file ${name} is not archived: ${describeError(error)}\n${hint}`;
}
