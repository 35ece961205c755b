import { styleText } from "node:util";
import { formatTime } from "../common/units.ts";
import type { LogFields, LogLevel, LogSink } from "../common/log.ts";

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const colours = { debug: "dim", info: "cyan", warn: "yellow", error: "red" } as const;

/** Log lines on stderr: text for a terminal, one JSON object a line otherwise. */
export function createLogSink(options: {
  readonly level: LogLevel;
  readonly format: "text" | "json";
  readonly write: (line: string) => void;
}): LogSink {
  const render = options.format === "json" ? renderJson : renderText;
  return (level, message, fields) => {
    if (order[level] >= order[options.level]) options.write(render(level, message, fields));
  };
}

function renderJson(level: LogLevel, message: string, fields: LogFields): string {
  const line = { time: new Date().toISOString(), level, message, ...fields };
  return `${JSON.stringify(line, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value))}\n`;
}

function renderText(level: LogLevel, message: string, fields: LogFields): string {
  const details = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : String(value as number)}`)
    .join(" ");
  const head = styleText(colours[level], level.padEnd(5));
  return `${styleText("dim", formatTime(new Date()))} ${head} ${message}${details === "" ? "" : ` ${styleText("dim", details)}`}\n`;
}
