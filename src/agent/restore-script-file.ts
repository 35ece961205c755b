import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { restoreScript } from "./archive-script.ts";
import { restoreCommandLine } from "./shell-text.ts";
import { makePrivateFolders, writeSpoolFile } from "./spool.ts";

/**
 * The restore command for a server that is started without us: nothing is prefetched, so each file goes the slow way
 * through `fetchCommand`, until a prefetcher takes the folder over.
 */
export function writeRestoreScript(
  root: string,
  fetchCommand: readonly string[],
): { readonly restoreCommand: string; write(): Promise<void> } {
  return {
    restoreCommand: restoreCommandLine(root),
    write: async () => {
      await makePrivateFolders(
        [root, ...["ready", "want", "absent", "failed"].map((name) => join(root, name))],
        undefined,
      );
      const script = join(root, "restore.sh");
      await writeSpoolFile(script, restoreScript({ root, fallbackCommand: fetchCommand }), {
        owner: undefined,
      });
      await chmod(script, 0o700);
    },
  };
}
