import { readSync } from "node:fs";
import type { Clock } from "../common/clock.ts";
import { kib } from "../common/units.ts";
import type { Lsn } from "../postgres/lsn.ts";
import {
  createPageVerifier,
  type BadPage,
  type ChangedPages,
  type PageVerifier,
} from "../postgres/page-checksum.ts";
import type { RelationFileName } from "../postgres/relation-file-name.ts";

/** A page that PostgreSQL would refuse to read, where the backup found it. */
export interface DamagedPage {
  /** Below the data directory; below `<oid>/` for a tablespace. */
  readonly path: string;
  /** Counted over all files of the relation's fork. */
  readonly block: number;
}

export interface PageCheckOptions {
  readonly blockSizeBytes: number;
  readonly blocksPerFile: number;
  /** Where the backup started: pages changed since may be torn, and replay puts them right. */
  readonly startLsn: Lsn;
  /** The server's present WAL position; a page that claims to be newer is damaged, not new. */
  readonly currentLsn: () => Promise<Lsn>;
  readonly clock: Clock;
}

/** So many are named in the manifest; a broken disk could have millions. */
export const maxDamagedPages = 1000;

/** A page in the middle of being written is whole a moment later. */
const rereadPausesMs = [0, 20] as const;

/** Where a run of pages was read from. */
export interface PageRun {
  readonly fd: number;
  /** For the report. */
  readonly path: string;
  readonly relation: RelationFileName;
  /** Place of the first page in the file. */
  readonly positionBytes: number;
}

/** Judges the pages of one backup, and collects those that are damaged. */
export class PageCheck {
  readonly damaged: DamagedPage[] = [];
  damagedCount = 0;
  readonly #options: PageCheckOptions;
  /** For bytes that do not lie in a verifier's memory. Used without waiting in between, so one is enough. */
  readonly #verifier: PageVerifier;
  #changed: ChangedPages;

  constructor(options: PageCheckOptions) {
    this.#options = options;
    const { blockSizeBytes } = options;
    this.#verifier = createPageVerifier({ bufferBytes: 64 * kib, blockSizeBytes });
    // As if the server had written nothing since: a page that is newer and bad makes us ask where it has got to.
    this.#changed = { startLsn: options.startLsn, endLsn: options.startLsn };
  }

  get changed(): ChangedPages {
    return this.#changed;
  }

  /** The number of a run's first page, as its checksum counts. */
  firstBlock({ relation, positionBytes }: PageRun): number {
    const { blockSizeBytes, blocksPerFile } = this.#options;
    return relation.segment * blocksPerFile + positionBytes / blockSizeBytes;
  }

  /** As `PageVerifier.verify`, for bytes that lie elsewhere. */
  verifyElsewhere(bytes: Uint8Array, run: PageRun): BadPage[] {
    return this.#verifier.verifyBytes(bytes, this.firstBlock(run), this.#changed);
  }

  /**
   * Looks again at pages that seemed bad in `bytes`: a page that is good when read again replaces what was read, one
   * that stays bad is recorded.
   */
  async recheck(run: PageRun, bad: readonly BadPage[], bytes: Buffer): Promise<void> {
    const endLsn = await this.#options.currentLsn();
    this.#changed = { startLsn: this.#options.startLsn, endLsn };
    for (const page of bad) {
      if (isChanged(page, this.#changed) || (await this.#isGoodNow(run, page, bytes))) continue;
      this.damagedCount++;
      if (this.damaged.length < maxDamagedPages) this.damaged.push({ path: run.path, block: page.block });
    }
  }

  async #isGoodNow(run: PageRun, page: BadPage, bytes: Buffer): Promise<boolean> {
    const { blockSizeBytes, clock, currentLsn } = this.#options;
    const again = Buffer.alloc(blockSizeBytes);
    for (const pauseMs of rereadPausesMs) {
      if (pauseMs > 0) await clock.sleep(pauseMs);
      const read = readSync(run.fd, again, 0, blockSizeBytes, run.positionBytes + page.offset);
      // Cut off meanwhile: replay cuts it off again.
      if (read < blockSizeBytes) return true;
      const changed = { startLsn: this.#options.startLsn, endLsn: await currentLsn() };
      if (this.#verifier.verifyBytes(again, page.block, changed).length === 0) {
        again.copy(bytes, page.offset);
        return true;
      }
    }
    return false;
  }
}

function isChanged(page: BadPage, changed: ChangedPages): boolean {
  return (
    !page.newButNotEmpty &&
    page.pageLsn >= changed.startLsn &&
    (changed.endLsn === undefined || page.pageLsn <= changed.endLsn)
  );
}
