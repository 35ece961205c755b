import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import type { InstanceFailure, InstanceStatus } from "../instance-status.ts";
import { failureOf } from "./failure.ts";
import { GrowingPause } from "./growing-pause.ts";

type Phase = InstanceStatus["phase"];

/** What an instance is at, as its status says it, and when something that failed is tried again. */
export class InstanceLife {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pause = new GrowingPause();
  #phase: Phase = "starting";
  #activity: string | undefined;
  #error: InstanceFailure | undefined;
  #retryAt: Date | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(deps: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  get report(): Pick<InstanceStatus, "phase" | "activity" | "error" | "retryAt"> {
    return {
      phase: this.#phase,
      activity: this.#activity,
      error: this.#error,
      retryAt: this.#retryAt?.toISOString(),
    };
  }

  /** Until when it rests after a failure, in milliseconds from now; not positive when it does not. */
  get restMs(): number {
    return this.#notBeforeMs - this.#clock.monotonicMs();
  }

  /** What failed before is forgotten when this is something that went well. */
  show(phase: Phase, activity?: string): void {
    this.#phase = phase;
    this.#activity = activity;
    this.#retryAt = undefined;
    if (phase === "running" || phase === "stopped") this.#error = undefined;
  }

  say(activity: string): void {
    this.#activity = activity;
  }

  /** Something did not go well, and it goes on; undefined: it does now. */
  complain(error: unknown): void {
    this.#error = error === undefined ? undefined : failureOf(error);
  }

  /** Gives up for now. `ranMs`: how long it had gone well before; `atLeastMs`: how long it rests at least. */
  fail(
    what: string,
    error: unknown,
    { ranMs = 0, atLeastMs = 0 }: { readonly ranMs?: number; readonly atLeastMs?: number } = {},
  ): void {
    const pauseMs = Math.max(atLeastMs, this.#pause.afterFailure(ranMs));
    this.show("failed");
    this.#error = failureOf(error);
    this.#retryAt = new Date(this.#clock.now().getTime() + pauseMs);
    this.#notBeforeMs = this.#clock.monotonicMs() + pauseMs;
    this.#log.error(what, { error: this.#error.message, retryAt: this.#retryAt.toISOString() });
  }

  /** Something has changed: what failed is tried again at once, and its next failure is a first one. */
  retryNow(): void {
    this.#pause.reset();
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
  }
}
