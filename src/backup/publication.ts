import type { Destination } from "./destination.ts";
import type { TargetUpload } from "./target-upload.ts";

/** A part that is becoming visible in its repositories, each in its own time. */
export class Publication {
  readonly #settling = new Map<Destination, Promise<void>>();
  readonly #pending: Set<Destination>;

  /** `settling`: for each target a promise that never rejects. `changed` is called whenever one has settled. */
  constructor(
    settling: readonly { readonly target: TargetUpload; readonly settled: Promise<void> }[],
    changed: () => void,
  ) {
    this.#pending = new Set(settling.map(({ target }) => target.destination));
    for (const { target, settled } of settling) {
      const { destination } = target;
      const noted = settled.then(() => {
        this.#pending.delete(destination);
        changed();
      });
      this.#settling.set(destination, noted);
    }
  }

  /** Those for which it is not known yet how it ends. */
  get pending(): readonly Destination[] {
    return [...this.#pending];
  }

  /** Whether one that takes part has it. */
  get isAnywhere(): boolean {
    return [...this.#settling.keys()].some(
      (destination) => destination.isLive && !this.#pending.has(destination),
    );
  }

  /** Resolves when this repository has the part, or was dropped; at once where it was not to get it. */
  async settled(destination: Destination): Promise<void> {
    await this.#settling.get(destination);
  }
}
