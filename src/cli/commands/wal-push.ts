import { dirname, resolve } from "node:path";
import { pushWalFile } from "../../archive/wal-file.ts";
import type { PushReport } from "../../archive/push-wal.ts";
import { formatBytes } from "../../common/units.ts";
import { spoolDirectory, type AgentCommandOptions } from "../agent-options.ts";
import { archiveTargets } from "../archive-targets.ts";
import { openContext, resolveConfig } from "../context.ts";
import { findDataDirectory, readControlFile } from "../local-server.ts";
import { parseCount } from "../options.ts";
import { formatJson, parseOutputFormat } from "../output.ts";
import { becomeServerUser } from "../privileges.ts";

interface WalPushOptions extends AgentCommandOptions {
  readonly compression?: string;
  readonly level?: string;
}

/** `tidemark wal push`: `archive_command` without an agent. */
export async function run(path: string, options: WalPushOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  // PostgreSQL runs archive_command in its data directory, with a path below pg_wal.
  const config = await resolveConfig(options);
  const dataDirectory = findDataDirectory(options, config) ?? dirname(dirname(resolve(path)));
  await becomeServerUser(dataDirectory);
  await using context = await openContext(options, signal, {
    kind: "write",
    spoolDirectory: spoolDirectory({ ...options, dataDirectory }, config),
  });
  const control = await readControlFile(dataDirectory);
  const report = await pushWalFile({
    path: resolve(path),
    targets: archiveTargets(context, {
      compression: options.compression,
      level: parseCount("--level", options.level, 0),
    }),
    expected: {
      systemIdentifier: control.systemIdentifier,
      walSegmentSizeBytes: control.walSegmentSizeBytes,
    },
    log: context.log,
    signal,
  });
  process.stdout.write(format === "json" ? formatJson(reportJson(report)) : reportText(report));
}

function reportText(report: PushReport): string {
  return report.outcomes
    .map(
      ({ kind, repository }) =>
        `${report.file.name}  ${formatBytes(report.sizeBytes)}  ${kind} in ${repository}\n`,
    )
    .join("");
}

function reportJson(report: PushReport): Record<string, unknown> {
  const outcomes = report.outcomes.map(({ kind, repository }) => ({ repository, outcome: kind }));
  return { name: report.file.name, sizeBytes: report.sizeBytes, checksum: report.checksum ?? null, outcomes };
}
