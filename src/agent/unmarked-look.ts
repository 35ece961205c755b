import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import { readUnmarkedSegments } from "./unmarked-segments.ts";

const everyMs = 5000;

/** Looks now and then for segments that PostgreSQL left without a mark. */
export class UnmarkedLook {
  readonly #walDirectory: string;
  readonly #segmentSizeBytes: number;
  readonly #clock: Clock;
  readonly #log: Log;
  #found: readonly WalFileName[] = [];
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(
    walDirectory: string,
    segmentSizeBytes: number,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#walDirectory = walDirectory;
    this.#segmentSizeBytes = segmentSizeBytes;
    this.#clock = clock;
    this.#log = log;
  }

  /** Nobody asks for them, so they are archived once, and given again until PostgreSQL marks or removes them. Throws `file-io`. */
  async look(): Promise<readonly WalFileName[]> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#atMs < everyMs) return this.#found;
    this.#atMs = nowMs;
    const known = new Set(this.#found.map(({ name }) => name));
    this.#found = await readUnmarkedSegments(this.#walDirectory, this.#segmentSizeBytes);
    for (const { name } of this.#found) {
      if (known.has(name)) continue;
      this.#log.info("PostgreSQL finished a WAL file and did not mark it; it is archived all the same", {
        segment: name,
      });
    }
    return this.#found;
  }
}
