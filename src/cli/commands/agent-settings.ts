import { archiveSettings } from "../../agent/archive-settings.ts";
import { archiveCommandLine } from "../../agent/shell-text.ts";
import { spoolRootOf } from "../../agent/spool.ts";
import { formatSetting } from "../../postgres/settings-file.ts";
import { spoolDirectory, type AgentCommandOptions } from "../agent-options.ts";
import { resolveConfig } from "../context.ts";
import { readControlFile, requireDataDirectory } from "../local-server.ts";
import { formatJson, parseOutputFormat } from "../output.ts";

/** `tidemark agent settings`: the lines for postgresql.conf. Starting to archive needs a restart of PostgreSQL. */
export async function run(options: AgentCommandOptions): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const config = await resolveConfig(options);
  const { systemIdentifier } = await readControlFile(requireDataDirectory(options, config));
  const settings = archiveSettings(
    archiveCommandLine(spoolRootOf(spoolDirectory(options, config), systemIdentifier)),
  );
  if (format === "json") process.stdout.write(formatJson(settings));
  else
    for (const [name, value] of Object.entries(settings))
      process.stdout.write(`${formatSetting(name, value)}\n`);
}
