import { dirname } from "node:path";
import { requireLocalSystem } from "../../agent/local-system.ts";
import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { instanceFolder, type InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import type { WalRescueStatus } from "../instance-status.ts";
import { GrowingPause } from "../process/growing-pause.ts";
import { archiveRescued } from "./archive-rescued.ts";
import type { StandbyPosition } from "./plan-rescue.ts";
import {
  forgetRescued,
  keepOwnWal,
  noteArchived,
  readRescueNote,
  rescueWal,
  stillToArchive,
  type RescueNote,
} from "./rescued-wal.ts";

export interface RescueDeskOptions {
  readonly folder: InstanceFolder;
  readonly spec: () => InstanceSpec;
  /** Whether the instance's server is a primary now. */
  readonly isPrimary: () => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often it is looked whether the server has taken over, while there is something to clear away. */
const lookMs = 2000;

/** Takes orders to rescue the WAL of a primary that is gone, one at a time, and brings it to the archive. */
export class RescueDesk {
  readonly #options: RescueDeskOptions;
  readonly #end = new AbortController();
  #status: WalRescueStatus | undefined;
  #rescuing: Promise<void> = Promise.resolve();
  #archiving: Promise<void> = Promise.resolve();
  /** Ends what is done with an earlier rescue. */
  #replaced = new AbortController();

  private constructor(options: RescueDeskOptions) {
    this.#options = options;
  }

  /** Goes on with what an earlier process has rescued. Throws `file-io`. */
  static async open(options: RescueDeskOptions): Promise<RescueDesk> {
    const desk = new RescueDesk(options);
    const note = await readRescueNote(options.folder);
    if (note !== undefined) await desk.#take(note);
    return desk;
  }

  get status(): WalRescueStatus | undefined {
    return this.#status;
  }

  /** Begins for a standby that is at `position`; nothing happens for the same key again unless that failed. */
  begin(order: { readonly key: string; readonly dataDirectory: string }, position: StandbyPosition): void {
    if (this.#status?.key === order.key && this.#status.state !== "failed") return;
    this.#status = { key: order.key, state: "running", waitingFiles: 0 };
    this.#replaced.abort();
    // Never rejects.
    this.#rescuing = this.#rescuing.then(async () => this.#rescue(order, position));
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#rescuing;
    await this.#archiving;
  }

  async #rescue(
    { key, dataDirectory }: { readonly key: string; readonly dataDirectory: string },
    position: StandbyPosition,
  ): Promise<void> {
    const { folder, log } = this.#options;
    const { signal } = this.#end;
    try {
      await this.#archiving;
      const expected = await requireLocalSystem(folder.data);
      const user = await chooseServerUser(folder.root);
      const dead = { ...instanceFolder(dirname(dataDirectory)), data: dataDirectory };
      const options = { folder, dead, key, position, expected, user, signal };
      const note = await rescueWal(options).catch(async (error: unknown) => {
        const message = describeError(error);
        if (!signal.aborted) log.error("could not rescue WAL of a primary that is gone", { error: message });
        return keepOwnWal(options, message);
      });
      const { endLsn, unarchived } = note;
      log.info("collected WAL that the archive may be without", {
        path: dataDirectory,
        ...(endLsn === undefined ? {} : { lsn: endLsn }),
        files: unarchived.length,
      });
      await this.#take(note);
    } catch (error) {
      this.#status = { key, state: "failed", message: describeError(error), waitingFiles: 0 };
    }
  }

  async #take(note: RescueNote): Promise<void> {
    const names = await stillToArchive(this.#options.folder, note);
    const { key, endLsn, failure } = note;
    this.#status = {
      key,
      state: failure === undefined ? "done" : "failed",
      ...(failure === undefined ? {} : { message: failure }),
      ...(endLsn === undefined ? {} : { endLsn }),
      waitingFiles: names.length,
    };
    this.#replaced = new AbortController();
    const signal = AbortSignal.any([this.#replaced.signal, this.#end.signal]);
    // Never rejects.
    this.#archiving = this.#settle(new Set(names), signal);
  }

  /** Archives what is left, however often that has to be tried, and clears it away when nobody needs it any more. */
  async #settle(waiting: Set<string>, signal: AbortSignal): Promise<void> {
    const { folder, spec, isPrimary, clock, log } = this.#options;
    const pause = new GrowingPause();
    let said: string | undefined;
    while (!signal.aborted) {
      try {
        const { archive } = spec();
        if (archive !== undefined && waiting.size > 0) {
          const onArchived = (name: string): void => {
            waiting.delete(name);
            if (this.#status !== undefined) this.#status = { ...this.#status, waitingFiles: waiting.size };
          };
          await archiveRescued({ folder, archive, names: [...waiting], onArchived, log, signal });
          await noteArchived(folder);
        }
        this.#complain(undefined);
        said = undefined;
        if (await isPrimary()) {
          await forgetRescued(folder);
          this.#status = undefined;
          return;
        }
        await clock.sleep(lookMs, signal).catch(() => undefined);
      } catch (error) {
        if (signal.aborted) return;
        const message = describeError(error);
        if (message !== said) log.error("could not archive WAL that was rescued", { error: message });
        said = message;
        this.#complain(message);
        await clock.sleep(pause.afterFailure(), signal).catch(() => undefined);
      }
    }
  }

  /** Why it is not in the archive yet. */
  #complain(archivingError: string | undefined): void {
    if (this.#status === undefined) return;
    const { archivingError: _before, ...rest } = this.#status;
    this.#status = { ...rest, ...(archivingError === undefined ? {} : { archivingError }) };
  }
}
