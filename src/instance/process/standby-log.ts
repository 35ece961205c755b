import { stat } from "node:fs/promises";
import { readLogEnd } from "../../postgres/server-log.ts";
import type { InstanceFailure, StandbyTrouble } from "../instance-status.ts";
import { troubleIn } from "./standby-trouble.ts";

/** A server that cannot follow says so again every few seconds. */
const lookedAtBytes = 64 * 1024;

/** Codes of failures that leave a standby's data of no use: no data directory any more, a damaged one, one that went its own way. */
const troubleOfCode: Readonly<Record<string, StandbyTrouble["kind"]>> = {
  "target-directory": "damaged",
  "postgres-format": "damaged",
  "standby-diverged": "diverged",
};

/** What the log of a standby's server says since it last streamed, or since this process has begun. */
export class StandbyLog {
  readonly #path: string;
  #sinceByte: number;

  private constructor(path: string, sinceByte: number) {
    this.#path = path;
    this.#sinceByte = sinceByte;
  }

  static async open(path: string): Promise<StandbyLog> {
    return new StandbyLog(path, await sizeOf(path));
  }

  /** It streams, or is no standby: whatever was said before is over. */
  async forget(): Promise<void> {
    this.#sinceByte = await sizeOf(this.#path);
  }

  /** Why it does not stream; `failure` is what its process met last. Undefined when nobody says anything. */
  async trouble(failure: InstanceFailure | undefined): Promise<StandbyTrouble | undefined> {
    const kind = failure === undefined ? undefined : troubleOfCode[failure.code];
    if (failure !== undefined && kind !== undefined) return { kind, message: failure.message };
    const text = await readLogEnd(this.#path, this.#sinceByte, lookedAtBytes);
    return troubleIn(text.split("\n"));
  }
}

/** 0 for a log that is not there yet. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
