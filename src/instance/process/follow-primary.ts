import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { WakeUp } from "../../common/wake-up.ts";
import { ensureCloneSlot } from "../bootstrap/clone-slot.ts";
import { inDatabase } from "../bootstrap/superuser-session.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { GrowingPause } from "./growing-pause.ts";

/** Once it is there, the slot is looked for again this often at most: a standby asks for it every 5 s. */
const againMs = 5000;

/**
 * Sees to it that the primary of a standby keeps WAL for it: its replication slot, which a server that has taken over does not
 * have yet, and which somebody may drop. Without it the standby does not stream.
 */
export class PrimarySlot {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #missed: WakeUp;
  #followed = "";
  #abort = new AbortController();
  #work: Promise<void> = Promise.resolve();

  constructor(deps: { readonly clock: Clock; readonly log: Log }) {
    this.#deps = deps;
    this.#missed = new WakeUp(deps.clock);
  }

  /** Begins with another primary; nothing happens for the same one. */
  follow({ role, name }: InstanceSpec): void {
    const key = JSON.stringify(role);
    if (key === this.#followed) return;
    this.#followed = key;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#missed.notify();
    const { signal } = this.#abort;
    const before = this.#work;
    // Neither rejects.
    this.#work = role.kind === "primary" ? before : before.then(async () => this.#keep(role, name, signal));
  }

  /** The standby does not stream: its slot may be gone, or have lost WAL. */
  lookAgain(): void {
    this.#missed.notify();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#missed.notify();
    await this.#work;
  }

  async #keep(
    primary: { readonly host: string; readonly port: number },
    instance: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, log } = this.#deps;
    const pause = new GrowingPause();
    while (!signal.aborted) {
      try {
        await inDatabase(primary, "postgres", signal, async (connection) =>
          ensureCloneSlot(connection, instance),
        );
        pause.reset();
        await clock.sleep(againMs, signal).catch(() => undefined);
        if (!signal.aborted) await this.#missed.wait(Number.POSITIVE_INFINITY);
      } catch (error) {
        if (signal.aborted) return;
        log.debug("could not make the replication slot on the primary", { error: describeError(error) });
        await clock.sleep(pause.afterFailure(), signal).catch(() => undefined);
      }
    }
  }
}
