import { EngineError } from "../../common/errors.ts";
import type { RunningServer, ServerExit } from "../../postgres/server-running.ts";

/** What a server that has ended by itself says about it: `postgres-failed`, with the end of its log. */
export async function serverEnded(server: RunningServer): Promise<EngineError> {
  const told = tellingLines(await server.logTail());
  const quoted = told.length === 0 ? "" : `; its log ends: ${told.join(" | ")}`;
  return new EngineError(
    "postgres-failed",
    `the server on "${server.dataDirectory}" ended with ${describeExit(server.exit)}${quoted}`,
    { hint: `The whole log is in "${server.logFile}".` },
  );
}

/**
 * Exported for tests: what the server says of itself. Statements are left out, because they may hold passwords and this is shown
 * where the server's log is not.
 */
export function tellingLines(lines: readonly string[]): readonly string[] {
  return lines.filter(
    (line) =>
      /\b(LOG|FATAL|PANIC):/.test(line) && !/\bLOG: +(statement|duration|execute|parse|bind)\b/.test(line),
  );
}

function describeExit(exit: ServerExit | undefined): string {
  if (exit?.signal !== undefined) return `signal ${exit.signal}`;
  return exit?.code === undefined ? "an unknown status" : `status ${exit.code}`;
}
