import type { EngineError } from "../common/errors.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";

/** One WAL file that PostgreSQL has ready, until PostgreSQL has taken note that it is archived. */
export interface BacklogEntry {
  readonly file: WalFileName;
  state: "waiting" | "acknowledged";
  /** Repositories that have it, as of the writing of the file that `fingerprint` names. */
  done: Set<string>;
  fingerprint: string | undefined;
  /** Repositories that it is on its way to. After the acknowledgement the slower ones still are. */
  onTheWay: Set<string>;
  /** The bytes of the first read are held until then at least: a further push would read the file again. */
  heldUntilMs: number;
  /** What is found out about it is acted on in turn. */
  turn: Promise<void>;
  retryAtMs: number;
  failures: number;
  /** Order of asking; undefined while nobody waits for it. */
  wantedTurn: number | undefined;
  /** A file that was asked for without being `.ready` stays this long. */
  keepUntilMs: number;
  error: EngineError | undefined;
}

/** A push to start: which file, to which repositories. */
export interface Job {
  readonly entry: BacklogEntry;
  readonly repositories: readonly string[];
}

export interface Availability {
  /** When the next push to this repository may start: `nowMs`, or later on its scale. */
  availableAtMs(repository: string, nowMs: number): number;
  /** Whether it can take one more file at all. */
  hasRoom(repository: string): boolean;
  /** Until when a file shall wait for it that could go to other repositories at once; undefined when not at all. */
  worthWaitingUntilMs(repository: string, nowMs: number): number | undefined;
  /** Whether a file that these have may be acknowledged. */
  isEnough(repositories: ReadonlySet<string>): boolean;
}

/**
 * The files to archive, in the order to archive them: those PostgreSQL waits for, then history files, then the oldest
 * segment as PostgreSQL's archiver chooses (ready_file_comparator in pgarch.c). Decides and remembers; does no I/O.
 */
export class Backlog {
  readonly #entries = new Map<string, BacklogEntry>();
  readonly #repositories: readonly string[];
  /** Kept in order through single changes: sorting ten thousand files anew for each one would take longer than pushing it. */
  #order: BacklogEntry[] | undefined = [];
  /** Entries that are not in the order yet. */
  #added: BacklogEntry[] = [];
  #turn = 0;

  constructor(repositories: readonly string[]) {
    this.#repositories = repositories;
  }

  get entries(): IterableIterator<BacklogEntry> {
    return this.#entries.values();
  }

  get(name: string): BacklogEntry | undefined {
    return this.#entries.get(name);
  }

  /** Adds a file unless it is known. */
  add(file: WalFileName): BacklogEntry {
    const known = this.#entries.get(file.name);
    if (known !== undefined) return known;
    const entry: BacklogEntry = {
      file,
      state: "waiting",
      done: new Set(),
      fingerprint: undefined,
      onTheWay: new Set(),
      heldUntilMs: 0,
      turn: Promise.resolve(),
      retryAtMs: 0,
      failures: 0,
      wantedTurn: undefined,
      keepUntilMs: 0,
      error: undefined,
    };
    this.#entries.set(file.name, entry);
    this.#added.push(entry);
    return entry;
  }

  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    const order = this.#sorted();
    order.splice(placeOf(order, entry), 1);
    this.#entries.delete(name);
  }

  /** PostgreSQL waits for this file: it goes first, at once, whatever failed before. */
  want(file: WalFileName, nowMs: number): BacklogEntry {
    const entry = this.add(file);
    entry.wantedTurn ??= ++this.#turn;
    entry.retryAtMs = 0;
    entry.keepUntilMs = nowMs + 120_000;
    this.#order = undefined;
    return entry;
  }

  answered(entry: BacklogEntry): void {
    if (entry.wantedTurn === undefined) return;
    entry.wantedTurn = undefined;
    this.#order = undefined;
  }

  /** Forgets that a file was archived: it was written again. */
  reopen(entry: BacklogEntry): void {
    entry.state = "waiting";
    entry.done = new Set();
    entry.fingerprint = undefined;
    entry.retryAtMs = 0;
  }

  /** The push to start now, or when to ask again (infinite: only after something has changed). */
  next(nowMs: number, health: Availability): Job | { readonly atMs: number } {
    let atMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#sorted()) {
      const missing = this.#repositories.filter((name) => !entry.done.has(name) && !entry.onTheWay.has(name));
      if (entry.state !== "waiting" || missing.length === 0) continue;
      if (entry.wantedTurn === undefined && entry.retryAtMs > nowMs) {
        atMs = Math.min(atMs, entry.retryAtMs);
        continue;
      }
      if (entry.onTheWay.size > 0 && entry.heldUntilMs > nowMs) {
        atMs = Math.min(atMs, entry.heldUntilMs);
        continue;
      }
      const available = missing.filter((name) => health.availableAtMs(name, nowMs) <= nowMs);
      if (entry.wantedTurn !== undefined) {
        const repositories = forWanted(entry, { missing, available }, health);
        if (repositories.length > 0) return { entry, repositories };
      }
      if (available.length === 0) {
        atMs = Math.min(atMs, ...missing.map((name) => health.availableAtMs(name, nowMs)));
        continue;
      }
      const waits = missing.flatMap((name) => health.worthWaitingUntilMs(name, nowMs) ?? []);
      // Later files would have to wait for the same repository.
      if (waits.length > 0) return { atMs: Math.min(atMs, ...waits) };
      return { entry, repositories: available };
    }
    return { atMs };
  }

  #sorted(): BacklogEntry[] {
    if (this.#order === undefined || this.#added.length > insertedSingly) {
      this.#order = [...this.#entries.values()].sort(compareEntries);
    } else {
      for (const entry of this.#added) this.#order.splice(placeOf(this.#order, entry), 0, entry);
    }
    this.#added = [];
    return this.#order;
  }
}

/** Whom PostgreSQL waits for is tried at once, where it matters: it shall hear soon that a repository is down. */
function forWanted(
  entry: BacklogEntry,
  { missing, available }: { readonly missing: readonly string[]; readonly available: readonly string[] },
  health: Availability,
): readonly string[] {
  const without = new Set([...entry.done, ...entry.onTheWay, ...available]);
  return health.isEnough(without) ? available : missing.filter((name) => health.hasRoom(name));
}

/** More new entries than this are sorted in together. */
const insertedSingly = 16;

/** The index of an entry in the order, or where it belongs. */
function placeOf(order: readonly BacklogEntry[], entry: BacklogEntry): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = order[middle];
    if (other !== undefined && compareEntries(other, entry) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareEntries(a: BacklogEntry, b: BacklogEntry): number {
  const never = Number.MAX_SAFE_INTEGER;
  const turns = (a.wantedTurn ?? never) - (b.wantedTurn ?? never);
  if (turns !== 0) return turns;
  const histories = Number(b.file.kind === "history") - Number(a.file.kind === "history");
  if (histories !== 0) return histories;
  return a.file.name < b.file.name ? -1 : Number(a.file.name > b.file.name);
}
