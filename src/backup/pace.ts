import { throwIfAborted } from "../common/abort.ts";
import type { Clock } from "../common/clock.ts";
import { EngineError } from "../common/errors.ts";
import { formatBytes, formatDuration } from "../common/units.ts";
import type { Destination } from "./destination.ts";
import type { Destinations } from "./destinations.ts";
import { HoldUp } from "./hold-up.ts";

export interface PaceLimits {
  /** How many encoded bytes may wait for one repository while another one could go on. */
  readonly maxBehindBytes: number;
  /** For how long, in sum, one repository may keep all others waiting. */
  readonly maxHoldUpMs: number;
}

/** Where a part must wait, before it goes on, for the repositories that are not ready for that. */
export interface Gate {
  /** Those that take part and are not ready. */
  late(): readonly Destination[];
  /** Whether any repository that the part goes to is ready. */
  isAnyReady(): boolean;
  /** What is added to the backlog of each that is late. */
  readonly bytes: number;
}

interface Waiting {
  readonly part: object;
  readonly culprits: ReadonlySet<Destination>;
}

/**
 * Lets the parts of a backup go on as fast as their repositories take them. One that is slower than the others may be behind by so
 * many bytes; then the others wait for it, and that is counted. Only moments count at which every part waits for that one and
 * could go on without it: a repository that only takes the same time as the computing holds up nobody. When they add up to the
 * limit, it is dropped.
 */
export class Pace implements Disposable {
  readonly #limits: PaceLimits;
  readonly #signal: AbortSignal;
  readonly #holdUps: ReadonlyMap<Destination, HoldUp>;
  /** Parts that are being written. */
  readonly #open = new Set<object>();
  readonly #waiting = new Map<Gate, Waiting>();
  /** Those that have all parts. */
  readonly #through = new Set<Destination>();
  #news = Promise.withResolvers<void>();

  constructor(
    destinations: Destinations,
    { clock, signal, ...limits }: PaceLimits & { readonly clock: Clock; readonly signal: AbortSignal },
  ) {
    this.#limits = limits;
    this.#signal = signal;
    this.#holdUps = new Map(
      destinations.all.map((destination) => {
        const onExceeded = () => destinations.drop(destination, this.#tooSlow(destination));
        return [destination, new HoldUp({ limitMs: limits.maxHoldUpMs, clock, onExceeded })];
      }),
    );
    destinations.onDrop(() => this.changed());
    signal.addEventListener("abort", () => this.changed(), { once: true });
  }

  /** A part is being written from now on, until it is closed. */
  open(part: object): void {
    this.#open.add(part);
    this.#weigh();
  }

  /** May be repeated. */
  close(part: object): void {
    this.#open.delete(part);
    this.#weigh();
  }

  /** Something has been stored, or will not be any more. */
  changed(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** Waits until `part` may go on. Throws when the backup is given up. */
  async pass(part: object, gate: Gate): Promise<void> {
    try {
      for (;;) {
        throwIfAborted(this.#signal);
        const late = gate.late();
        if (late.length === 0) return;
        const isAnyReady = gate.isAnyReady();
        const culprits = late.filter(
          ({ behindBytes }) => behindBytes + gate.bytes > this.#limits.maxBehindBytes,
        );
        if (isAnyReady && culprits.length === 0) return;
        // Where nobody is ready, nobody is slower than the others.
        this.#waiting.set(gate, { part, culprits: new Set(isAnyReady ? culprits : []) });
        this.#weigh();
        await this.#news.promise;
      }
    } finally {
      if (this.#waiting.delete(gate)) this.#weigh();
    }
  }

  /** It has all parts; from now on the others are what is waited for. */
  through(destination: Destination): void {
    this.#through.add(destination);
    this.#weigh();
  }

  [Symbol.dispose](): void {
    for (const holdUp of this.#holdUps.values()) holdUp.set(false);
  }

  #weigh(): void {
    const blocked = new Map<Destination, Set<object>>();
    for (const { part, culprits } of this.#waiting.values()) {
      for (const culprit of culprits) {
        const parts = blocked.get(culprit) ?? new Set();
        blocked.set(culprit, parts.add(part));
      }
    }
    for (const [destination, holdUp] of this.#holdUps) {
      const isHolding =
        this.#open.size > 0
          ? [...this.#open].every((part) => blocked.get(destination)?.has(part) === true)
          : this.#through.size > 0 && !this.#through.has(destination);
      holdUp.set(isHolding && destination.isLive && !this.#signal.aborted);
    }
  }

  #tooSlow({ repository, behindBytes }: Destination): EngineError {
    const limit = formatDuration(this.#limits.maxHoldUpMs);
    return new EngineError(
      "store-unavailable",
      `${repository.store.url} is too slow: it has kept the other repositories waiting for ${limit}, and ${formatBytes(behindBytes)} still wait for it`,
      {
        hint: "The other repositories have the backup. If it is to wait for longer, raise backup.maxHoldUpSeconds.",
      },
    );
  }
}
