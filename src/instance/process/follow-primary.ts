import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { ensureCloneSlot } from "../bootstrap/clone-slot.ts";
import { inDatabase } from "../bootstrap/superuser-session.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { GrowingPause } from "./growing-pause.ts";

/**
 * Sees to it that the primary of a standby keeps WAL for it: its replication slot, which a server that has taken over does not
 * have yet. Without it the standby does not stream.
 */
export class PrimarySlot {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  #followed = "";
  #abort = new AbortController();
  #work: Promise<void> = Promise.resolve();

  constructor(deps: { readonly clock: Clock; readonly log: Log }) {
    this.#deps = deps;
  }

  /** Begins with another primary; nothing happens for the same one. */
  follow({ role, name }: InstanceSpec): void {
    const key = JSON.stringify(role);
    if (key === this.#followed) return;
    this.#followed = key;
    this.#abort.abort();
    this.#abort = new AbortController();
    if (role.kind === "primary") return;
    const { host, port } = role;
    // Never rejects.
    this.#work = this.#make({ host, port }, name, this.#abort.signal);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#work;
  }

  async #make(
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
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.debug("could not make the replication slot on the primary", { error: describeError(error) });
        await clock.sleep(pause.afterFailure(), signal).catch(() => undefined);
      }
    }
  }
}
