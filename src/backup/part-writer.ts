import { codecNamed } from "../codec/codecs.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { BackupPart } from "../repository/backup-manifest.ts";
import { archivePartKey, type ArchiveName } from "../repository/keys.ts";
import { formKey, type StoredForm } from "../repository/stored-form.ts";
import { ArchivePart, type PartStream } from "./archive-part.ts";
import type { Destination } from "./destination.ts";
import type { Destinations } from "./destinations.ts";
import { FormEncoder } from "./form-encoder.ts";
import type { LaneBuffers } from "./lane-buffers.ts";
import type { Pace } from "./pace.ts";
import { PartUpload } from "./part-upload.ts";
import { PieceMemory } from "./piece.ts";
import { Publication } from "./publication.ts";
import { TargetUpload } from "./target-upload.ts";
import { planUpload } from "../storage/upload-plan.ts";

export interface PartWriterOptions {
  readonly destinations: Destinations;
  readonly pace: Pace;
  readonly id: BackupId;
  /** Chunks being compressed at a time, of all parts of a form together. */
  readonly lanes: number;
  readonly maxPartBytes: number;
  readonly uploadPartBytes: number | undefined;
  readonly signal: AbortSignal;
}

/** A part being written. */
export interface OpenPart {
  readonly archive: ArchiveName;
  readonly index: number;
  readonly part: ArchivePart;
  /** In the order of the part's streams. */
  readonly streams: readonly FormStream[];
}

interface FormStream extends PartStream {
  readonly form: WrittenForm;
  /** Of the object, in its folder. */
  readonly name: string;
}

interface FinishedPart extends BackupPart {
  readonly index: number;
}

/** One form that repositories want: it is encoded once, for all of them. */
interface WrittenForm {
  readonly form: StoredForm;
  readonly destinations: readonly Destination[];
  readonly encoder: FormEncoder;
  readonly finished: FinishedPart[];
}

/** Opens and closes the parts of one backup in all their forms, numbering those of each archive without gaps. */
export class PartWriter implements Disposable {
  readonly #options: PartWriterOptions;
  readonly #nextIndex = new Map<ArchiveName, number>();
  readonly #forms = new Map<string, WrittenForm>();
  readonly #memory = new PieceMemory();
  readonly #publications: Publication[] = [];

  constructor(options: PartWriterOptions) {
    this.#options = options;
    for (const { form } of options.destinations.live) {
      const key = formKey(form);
      if (this.#forms.has(key)) continue;
      const destinations = options.destinations.live.filter((other) => formKey(other.form) === key);
      const encoder = new FormEncoder(form, options.lanes);
      this.#forms.set(key, { form, destinations, encoder, finished: [] });
    }
  }

  /** Parts in this form, in the order of the manifest: `data` first, then each tablespace's. */
  finished(form: StoredForm): readonly BackupPart[] {
    const rank = (archive: string) => (archive === "data" ? -1 : Number(archive));
    return (this.#forms.get(formKey(form))?.finished ?? [])
      .toSorted((a, b) => rank(a.archive) - rank(b.archive) || a.index - b.index)
      .map(({ index: _index, ...part }) => part);
  }

  /** Takes an archive's next number. Whoever takes one must open and finish that part. */
  takeIndex(archive: ArchiveName): number {
    const index = this.#nextIndex.get(archive) ?? 0;
    this.#nextIndex.set(archive, index + 1);
    return index;
  }

  /** Starts a part. `largestFileBytes` is what its first file needs, if that is more than a part usually takes. */
  open(archive: ArchiveName, index: number, buffers: LaneBuffers, largestFileBytes = 0): OpenPart {
    const streams: FormStream[] = [];
    for (const form of this.#forms.values()) {
      const live = form.destinations.filter(({ isLive }) => isLive);
      const [first] = live;
      if (first === undefined) continue;
      const place = { archive, index, form: form.form };
      const upload = this.#openUpload(live, place, largestFileBytes, () => streams);
      const key = partKey(first, this.#options.id, place);
      const name = key.slice(key.lastIndexOf("/") + 1);
      streams.push({ form, name, upload, encoder: form.encoder.open(upload, this.#options.signal) });
    }
    const part = new ArchivePart({ streams, buffers });
    this.#options.pace.open(streams);
    return { archive, index, part, streams };
  }

  #openUpload(
    live: readonly Destination[],
    place: PartPlace,
    largestFileBytes: number,
    streams: () => readonly PartStream[],
  ): PartUpload {
    const { destinations, pace, id, maxPartBytes, uploadPartBytes } = this.#options;
    const plan = planUpload(
      live.map(({ repository }) => repository.store.capabilities),
      // The last file may begin just below the limit.
      maxPartBytes + largestFileBytes,
      uploadPartBytes,
    );
    const targets = live.map(
      (destination) =>
        new TargetUpload({
          destination,
          key: partKey(destination, id, place),
          ...plan,
          fail: (failed, error) => destinations.drop(failed, error),
          changed: () => pace.changed(),
        }),
    );
    return new PartUpload({
      targets,
      partBytes: plan.partBytes,
      memory: this.#memory,
      pass: async (upload, bytes) =>
        pace.pass(streams(), {
          bytes,
          late: () =>
            liveTargets(upload)
              .filter(({ isReady }) => !isReady)
              .map(({ destination }) => destination),
          isAnyReady: () =>
            streams().some((stream) => liveTargets(stream.upload).some(({ isReady }) => isReady)),
        }),
    });
  }

  /** Begins to make a part visible that has ended. */
  publish({ archive, index, part, streams }: OpenPart): Publication {
    const { pace } = this.#options;
    const settling = streams.flatMap(({ form, name, upload }) => {
      if (!upload.isWanted) return [];
      form.finished.push({ name, archive, index, ...upload.stored(), tarBytes: part.tarBytes });
      return upload.publish();
    });
    const publication = new Publication(settling, () => pace.changed());
    this.#publications.push(publication);
    pace.close(streams);
    return publication;
  }

  /** A part that has ended may wait for its lane's last one, which takes memory until it is stored. */
  async passAfter(last: Publication, { streams }: OpenPart): Promise<void> {
    await this.#options.pace.pass(streams, {
      bytes: 0,
      late: () => last.pending.filter(({ isLive }) => isLive),
      isAnyReady: () => last.isAnywhere,
    });
  }

  /** Gives a part up. Never throws. */
  async abort({ part, streams }: OpenPart): Promise<void> {
    await part.abort();
    this.#options.pace.close(streams);
  }

  /** Waits until a repository has every part that was published, or is dropped. */
  async settled(destination: Destination): Promise<void> {
    for (const publication of this.#publications) await publication.settled(destination);
  }

  /** To be called when every part has ended or been aborted. */
  [Symbol.dispose](): void {
    for (const { encoder } of this.#forms.values()) encoder[Symbol.dispose]();
  }
}

function liveTargets({ targets }: PartUpload): readonly TargetUpload[] {
  return targets.filter(({ destination }) => destination.isLive);
}

interface PartPlace {
  readonly archive: ArchiveName;
  readonly index: number;
  readonly form: StoredForm;
}

function partKey({ repository }: Destination, id: BackupId, { archive, index, form }: PartPlace): string {
  return archivePartKey(repository.server, id, {
    archive,
    index,
    extension: codecNamed(form.codec).extension,
  });
}
