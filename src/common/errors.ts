import { errorCodes, type ErrorCode } from "./error-codes.ts";

export interface EngineErrorOptions {
  /** A full sentence: the command to run, or the question to ask. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Values for programs (JSON output); never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Overrides the table's answer where the same code can be either. */
  readonly retryable?: boolean;
}

/**
 * The one error class. The message states the fact in lower case without a full stop, names the object in quotes and
 * the values seen; the hint says what to do next.
 */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: EngineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
    this.retryable = options.retryable ?? errorCodes[code].retryable;
  }

  get exitStatus(): number {
    return errorCodes[this.code].exit;
  }
}

export function isEngineError(error: unknown, code?: ErrorCode): error is EngineError {
  return error instanceof EngineError && (code === undefined || error.code === code);
}

/** The `code` of a Node system error (`ENOENT`, `ENOSPC`, …), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** One line for a person: the message followed by its causes, innermost last. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at !== undefined && at !== null && parts.length < 6;) {
    const text = textOf(at);
    const code = systemErrorCode(at) ?? text;
    if (text !== "" && !parts.some((part) => part.includes(text) || part.includes(code))) parts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(": ");
}

/** Of Node's `ENOENT: no such file or directory, open '/x'` only the words: whoever wraps it names call and path. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error);
  return /^E[A-Z0-9]+: ([^,]+), /.exec(error.message)?.[1] ?? (error.message || error.name);
}

/** Turns what a file-system call threw into an EngineError that names the path; EngineErrors pass unchanged. */
export function fileError(action: string, path: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause;
  const code = systemErrorCode(cause);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new EngineError("disk-full", `could not ${action} "${path}": no space left on device`, {
      cause,
      hint: "Free some space on this file system, then run the same command again.",
    });
  }
  return new EngineError("file-io", `could not ${action} "${path}": ${describeError(cause)}`, { cause });
}

/** States what only a bug can break. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new EngineError("internal", `assertion failed: ${message}`);
}
