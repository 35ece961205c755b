import { readFile, readdir } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import type { PostgresMajor } from "../majors.ts";

/*
 * Bytes from real servers, made by scripts/make-fixtures.ts: for every major a cluster that took a backup and was
 * promoted twice, in the middle of a segment. Odd majors have segments of 1 MiB, even ones of 16 MiB.
 */

/** One view of the control file as the server itself prints it in SQL. */
export interface ControlFacts {
  readonly system: Readonly<Record<string, unknown>>;
  readonly checkpoint: Readonly<Record<string, unknown>>;
  readonly init: Readonly<Record<string, unknown>>;
  readonly recovery: Readonly<Record<string, unknown>>;
}

export interface FixtureFacts {
  readonly segmentSizeBytes: number;
  /** Of the promoted primary, and of the same cluster while in recovery. */
  readonly pg_control: ControlFacts;
  readonly "pg_control.standby": ControlFacts;
  /** Where the backup started that `pg_control.backup-replay` is replaying. */
  readonly backupStartLsn: string;
}

const directoryOf = (major: PostgresMajor) => new URL(`fixtures/${major}/`, import.meta.url);

/** The names of a major's fixtures, without `.gz`. */
export async function fixtureNames(major: PostgresMajor): Promise<string[]> {
  const names = await readdir(directoryOf(major));
  return names.map((name) => name.replace(/\.gz$/, ""));
}

/** A fixture's bytes, unpacked. */
export async function readFixture(major: PostgresMajor, name: string): Promise<Buffer> {
  const packed = (await readdir(directoryOf(major))).includes(`${name}.gz`);
  const content = await readFile(new URL(packed ? `${name}.gz` : name, directoryOf(major)));
  return packed ? gunzipSync(content) : content;
}

export async function readFixtureFacts(major: PostgresMajor): Promise<FixtureFacts> {
  return JSON.parse(await readFile(new URL("facts.json", directoryOf(major)), "utf8")) as FixtureFacts;
}
