/** Names of log fields: the schema of our JSON lines. */
export interface LogFields {
  readonly server?: string;
  readonly repository?: string;
  readonly backup?: string;
  readonly segment?: string;
  readonly lsn?: string;
  readonly timeline?: number;
  readonly key?: string;
  readonly path?: string;
  readonly bytes?: number;
  readonly durationMs?: number;
  readonly attempt?: number;
  readonly error?: string;
  readonly [more: string]: unknown;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry `fields`. */
  child(fields: LogFields): Log;
}

/** Where lines go: one function, so that tests can collect and the command line can format. */
export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void;

export function createLog(sink: LogSink, context: LogFields = {}): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) =>
    sink(level, message, { ...context, ...fields });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => createLog(sink, { ...context, ...fields }),
  };
}

export const silentLog: Log = createLog(() => undefined);

/** A secret that can be passed around and logged by mistake without harm: it prints as `[redacted]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[redacted]";
  }
}
