import { CommanderError, type Command } from "commander";
import { EngineError, describeError, fileError } from "../common/errors.ts";
import { parseWalFileName } from "../postgres/wal-file-name.ts";
import { exitStatusFor, type ExitTable } from "./exit-status.ts";
import { leaveNow, leaveSoon } from "./leave.ts";
import { formatJson } from "./output.ts";
import { createProgram } from "./program.ts";

/**
 * Runs one command line to its end and sets the process's exit status. The first Ctrl-C (or SIGTERM) asks the work to
 * stop and clean up; a second one ends the process at once.
 */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) leaveNow(signal === "SIGINT" ? 130 : 143);
    stop.abort(new EngineError("aborted", `stopped by ${signal}`));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  // A reader that goes away (`tidemark base list | head`) is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    // A manifest or a list that is cut off by a full disk must not pass for a whole one.
    process.exit(reportFailure(fileError("write", "standard output", error), argv));
  });
  const program = createProgram(stop.signal);
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    // Help and version were asked for.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const failure = error instanceof CommanderError ? usageError(error, helpFor(program, argv)) : error;
    process.exitCode = reportFailure(failure, argv);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    leaveSoon();
  }
}

function reportFailure(error: unknown, argv: readonly string[]): number {
  const status = exitStatusFor(error, tableFor(argv));
  if (wantsJson(argv)) process.stderr.write(formatJson({ error: errorJson(error, status) }));
  else process.stderr.write(errorText(error));
  return status;
}

/** What commander says of a command line it does not understand, in our form. */
function usageError({ code, message }: CommanderError, help: string): EngineError {
  // A group of commands without its command: commander has printed its help, and "(outputHelp)" is all that it says.
  if (code === "commander.help") {
    return new EngineError("usage", "no command is given", { hint: `See "${help}".` });
  }
  const [problem = "", guess] = message.replace(/^error: /, "").split("\n");
  const guessed = /^\(Did you mean (.*)\?\)$/.exec(guess ?? "")?.[1];
  const fact = problem.replace(/'([^']*)'/g, '"$1"').replace(/\.$/, "");
  return new EngineError("usage", fact, {
    hint: guessed === undefined ? `See "${help}".` : `Did you mean ${guessed}? See "${help}".`,
  });
}

/** The help of the command that was meant, as far as the words name one. */
function helpFor(program: Command, argv: readonly string[]): string {
  const words = ["tidemark"];
  let { commands } = program;
  for (const word of argv.slice(2)) {
    const command = commands.find((candidate) => candidate.name() === word);
    if (command === undefined) break;
    words.push(word);
    ({ commands } = command);
  }
  return `${words.join(" ")} --help`;
}

/**
 * `wal fetch` is a `restore_command`: its exit statuses are read by PostgreSQL. So are those of one that is misspelt, or
 * has its options in the wrong place, which it would take for the end of the archive: what else names a WAL file as `%f`
 * does is `wal push`.
 */
function tableFor(argv: readonly string[]): ExitTable {
  const words = argv.slice(2).filter((word) => !word.startsWith("-"));
  const isFetch =
    words.includes("fetch") ||
    (words[0] === "wal" && words.some((word) => parseWalFileName(word) !== undefined));
  return isFetch && !words.includes("push") ? "restore-command" : "general";
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
