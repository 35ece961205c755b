import { formatBytes, formatDuration } from "../common/units.ts";

/** How far a long piece of work is. */
export interface ProgressState {
  readonly label: string;
  readonly bytesDone: number;
  /** Undefined while it is not known. */
  readonly bytesTotal: number | undefined;
  readonly elapsedMs: number;
}

/** `copying  1.2 GiB of 4.0 GiB (30 %)  410 MiB/s  about 7 s left`. */
export function formatProgress(state: ProgressState): string {
  const rate = state.elapsedMs > 0 ? (state.bytesDone / state.elapsedMs) * 1000 : 0;
  const parts = [state.label];
  if (state.bytesTotal === undefined || state.bytesTotal === 0) {
    parts.push(formatBytes(state.bytesDone));
  } else {
    const percent = Math.min(100, Math.floor((state.bytesDone / state.bytesTotal) * 100));
    parts.push(`${formatBytes(state.bytesDone)} of ${formatBytes(state.bytesTotal)} (${percent} %)`);
  }
  if (rate > 0) {
    parts.push(`${formatBytes(rate)}/s`);
    const left = state.bytesTotal === undefined ? 0 : state.bytesTotal - state.bytesDone;
    if (left > 0) parts.push(`about ${formatDuration((left / rate) * 1000)} left`);
  }
  return parts.join("  ");
}

export interface ProgressReporter {
  update(state: ProgressState): void;
  /** Clears the line, at the end or for something else to be printed. */
  finish(): void;
}

const quietMs = 2000;

/**
 * Shows progress of work longer than two seconds: one line rewritten in place on a terminal, a line every ten seconds
 * otherwise.
 */
export function createProgressReporter(stream: {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}): ProgressReporter {
  const terminal = stream.isTTY === true;
  const intervalMs = terminal ? 100 : 10_000;
  let lastMs = 0;
  let shown = false;
  return {
    update: (state) => {
      if (state.elapsedMs < quietMs || state.elapsedMs - lastMs < intervalMs) return;
      lastMs = state.elapsedMs;
      shown = true;
      const text = formatProgress(state);
      stream.write(terminal ? `\r\u001b[2K${text.slice(0, (stream.columns ?? 80) - 1)}` : `${text}\n`);
    },
    finish: () => {
      if (terminal && shown) stream.write("\r\u001b[2K");
      shown = false;
    },
  };
}
