import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeDurableDirectory, writeDurableFile } from "../common/durable-file.ts";
import { fileError, systemErrorCode } from "../common/errors.ts";

/** Which repository a note is about. The operator's name for it is not part: renamed, it is still the same. */
export interface ClaimedPlace {
  /** The store's URL, with what else tells it from another of the same path: an S3 endpoint. */
  readonly url: string;
  readonly endpoint?: string;
  readonly server: string;
}

/**
 * A small file on PostgreSQL's machine (`claimed/<digest>.json` in the spool directory) that says: this repository was
 * claimed. An identity that is missing then means that the repository is not there just now: its disk is not mounted, and
 * what is seen is the empty mount point; or somebody emptied it. Without the note both look like a new repository.
 */
export class ClaimNote {
  readonly path: string;
  /** Of the place. */
  readonly digest: string;

  constructor(spoolDirectory: string, { url, endpoint = "", server }: ClaimedPlace) {
    const hash = createHash("sha256").update(JSON.stringify([url, endpoint, server]));
    this.digest = hash.digest("hex").slice(0, 16);
    this.path = join(spoolDirectory, "claimed", `${this.digest}.json`);
  }

  /** What cannot be looked at counts as there: to refuse an empty repository is the safe side. */
  async exists(): Promise<boolean> {
    try {
      await access(this.path);
      return true;
    } catch (error) {
      return !["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "");
    }
  }

  /** Durable on return. The content is for people. Throws `file-io`, `disk-full`. */
  async write(content: Readonly<Record<string, string>>): Promise<void> {
    try {
      await makeDurableDirectory(dirname(this.path));
    } catch (error) {
      throw fileError("make the folder", dirname(this.path), error);
    }
    await writeDurableFile(this.path, `${JSON.stringify(content, undefined, 2)}\n`);
  }
}
