import { runAgent } from "../../agent/run-agent.ts";
import { spoolDirectory, type AgentCommandOptions } from "../agent-options.ts";
import { archiveTargets } from "../archive-targets.ts";
import { openContext, resolveConfig } from "../context.ts";
import { requireDataDirectory } from "../local-server.ts";
import { parseCount } from "../options.ts";
import { becomeServerUser } from "../privileges.ts";
import { selfCommand } from "../self-command.ts";

interface AgentRunOptions extends AgentCommandOptions {
  readonly compression?: string;
  readonly level?: string;
  readonly concurrency?: string;
}

/** `tidemark agent`: runs until stopped. */
export async function run(options: AgentRunOptions, signal: AbortSignal): Promise<void> {
  const config = await resolveConfig(options);
  const dataDirectory = requireDataDirectory(options, config);
  const level = parseCount("--level", options.level, 0);
  const concurrency = parseCount("--concurrency", options.concurrency) ?? config.wal?.concurrency;
  await becomeServerUser(dataDirectory);
  const spool = spoolDirectory(options, config);
  await using context = await openContext(options, signal, { kind: "write", spoolDirectory: spool });
  const { log } = context;
  const form = [
    ...(options.compression === undefined ? [] : ["--compression", options.compression]),
    ...(options.level === undefined ? [] : ["--level", options.level]),
  ];
  await runAgent({
    dataDirectory,
    spoolDirectory: spool,
    targets: archiveTargets(context, { compression: options.compression, level }),
    ...(config.wal?.policy === undefined ? {} : { policy: config.wal.policy }),
    ...(concurrency === undefined ? {} : { concurrency }),
    pushCommand: selfCommand(["wal", "push", ...form, "--spool", spool], options),
    log,
    signal,
    onServing: ({ system, spoolRoot, archiveCommand }) =>
      log.info("archiving", {
        server: context.server,
        path: dataDirectory,
        systemIdentifier: system.systemIdentifier.toString(),
        spool: spoolRoot,
        archiveCommand,
      }),
  });
  log.info("stopped");
}
