import type { Clock } from "../common/clock.ts";

export type BackupPhase = "starting" | "copying" | "stopping" | "waiting-for-wal" | "finishing" | "done";

/** What a backup says about itself while it runs; rate and remaining time follow from two of them. */
export interface BackupProgress {
  readonly phase: BackupPhase;
  /** Of files, before compression. */
  readonly bytesDone: number;
  /** As counted when copying began; files come and go, so the end may differ a little. 0 before. */
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
  readonly startedAt: Date;
}

const reportEveryMs = 200;

/** Counts, and reports every change of phase at once and of numbers at most five times a second. */
export class Progress {
  readonly #report: (progress: BackupProgress) => void;
  readonly #clock: Clock;
  readonly #startedAt: Date;
  #phase: BackupPhase = "starting";
  #bytesDone = 0;
  #bytesTotal = 0;
  #filesDone = 0;
  #filesTotal = 0;
  #reportedMs = 0;

  constructor(clock: Clock, report: (progress: BackupProgress) => void = () => undefined) {
    this.#clock = clock;
    this.#report = report;
    this.#startedAt = clock.now();
  }

  get current(): BackupProgress {
    return {
      phase: this.#phase,
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      filesDone: this.#filesDone,
      filesTotal: this.#filesTotal,
      startedAt: this.#startedAt,
    };
  }

  enter(phase: BackupPhase): void {
    this.#phase = phase;
    this.#tell();
  }

  expect(files: number, bytes: number): void {
    this.#filesTotal = files;
    this.#bytesTotal = bytes;
  }

  addBytes(bytes: number): void {
    this.#bytesDone += bytes;
    if (this.#clock.monotonicMs() - this.#reportedMs >= reportEveryMs) this.#tell();
  }

  addFile(): void {
    this.#filesDone++;
  }

  #tell(): void {
    this.#reportedMs = this.#clock.monotonicMs();
    this.#report(this.current);
  }
}
