import { CommanderError } from "commander";
import { EngineError, describeError } from "../common/errors.ts";
import { exitStatusFor, type ExitTable } from "./exit-status.ts";
import { formatJson } from "./output.ts";
import { createProgram } from "./program.ts";

/**
 * Runs one command line to its end and sets the process's exit status. The first Ctrl-C (or SIGTERM) asks the work to
 * stop and clean up; a second one ends the process at once.
 */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(signal === "SIGINT" ? 130 : 143);
    stop.abort(new EngineError("aborted", `stopped by ${signal}`));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  // A reader that goes away (`tidemark base list | head`) is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
  });
  try {
    await createProgram(stop.signal).parseAsync([...argv]);
  } catch (error) {
    process.exitCode = reportFailure(error, argv);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

function reportFailure(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? 0 : exitStatusFor(new EngineError("usage", error.message), tableFor(argv));
  const status = exitStatusFor(error, tableFor(argv));
  if (wantsJson(argv)) process.stderr.write(formatJson({ error: errorJson(error, status) }));
  else process.stderr.write(errorText(error));
  return status;
}

/** `wal fetch` is a `restore_command`: its exit statuses are read by PostgreSQL. */
function tableFor(argv: readonly string[]): ExitTable {
  const words = argv.slice(2).filter((word) => !word.startsWith("-"));
  return words[0] === "wal" && words[1] === "fetch" ? "restore-command" : "general";
}

function wantsJson(argv: readonly string[]): boolean {
  return argv.some(
    (word, at) =>
      word === "-ojson" ||
      word === "--output=json" ||
      ((word === "-o" || word === "--output") && argv[at + 1] === "json"),
  );
}

function errorJson(error: unknown, exitStatus: number): Record<string, unknown> {
  if (!(error instanceof EngineError)) return { code: "internal", message: describeError(error), exitStatus };
  return {
    code: error.code,
    message: describeError(error),
    hint: error.hint,
    details: error.details,
    exitStatus,
  };
}

/** No stack trace for anything the operator can meet; only a bug of ours shows one, when asked for. */
function errorText(error: unknown): string {
  if (!(error instanceof EngineError)) {
    const stack =
      process.env["TIDEMARK_DEBUG"] === undefined || !(error instanceof Error)
        ? ""
        : `${error.stack ?? ""}\n`;
    return `tidemark: internal error: ${describeError(error)}\n${stack}hint: This is a bug in Tidemark; please report it with the output of the same command under TIDEMARK_DEBUG=1.\n`;
  }
  const hint = error.hint === undefined ? "" : `hint: ${error.hint}\n`;
  return `tidemark: ${describeError(error)}\n${hint}`;
}
