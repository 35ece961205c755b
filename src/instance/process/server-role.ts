import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../../common/errors.ts";
import { parseControlFile, type DatabaseState } from "../../postgres/control-file.ts";
import { exists } from "../configuration/own-files.ts";
import { slotNameOf } from "../configuration/slot-name.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";

/** What decides whether a server that is about to start has to be made a standby first. */
export interface RoleFacts {
  readonly wanted: InstanceSpec["role"]["kind"];
  readonly specVersion: number;
  /** Of the specification that was followed when the instance was last promoted; undefined when it never was. */
  readonly promotedAtVersion: number | undefined;
  /** `standby.signal` is there: it will start as a standby. */
  readonly isStandby: boolean;
  readonly state: DatabaseState;
}

export type RoleDecision =
  | { readonly kind: "as-it-is" }
  /** A former primary that was stopped cleanly follows the one that has taken over. */
  | { readonly kind: "make-standby" }
  /** It may have written what nobody else has, and must neither hide that nor go on beside the one that took over. */
  | { readonly kind: "refuse" };

/**
 * A standby becomes a primary only by being promoted, never by what the specification says. A primary becomes a standby when it
 * starts, and only if it was stopped cleanly: a server that stops so sends everything to its standbys first.
 *
 * A specification that was there before the promotion does not know of it yet.
 */
export function decideRole(facts: RoleFacts): RoleDecision {
  const { wanted, specVersion, promotedAtVersion, isStandby, state } = facts;
  if (wanted === "primary" || isStandby) return { kind: "as-it-is" };
  if (promotedAtVersion !== undefined && specVersion <= promotedAtVersion) return { kind: "as-it-is" };
  return { kind: state === "shut down" ? "make-standby" : "refuse" };
}

/**
 * Decides for a data directory in which no server runs, and carries it out. Throws `standby-diverged` for a primary that crashed and is to
 * be a standby; `file-io`, `postgres-format`.
 */
export async function prepareRole(folder: InstanceFolder, spec: InstanceSpec): Promise<void> {
  const signalFile = join(folder.data, "standby.signal");
  const controlFile = join(folder.data, "global", "pg_control");
  const bytes = await readFile(controlFile).catch((error: unknown) => {
    throw fileError("read", controlFile, error);
  });
  const { state } = parseControlFile(bytes, controlFile);
  const decision = decideRole({
    wanted: spec.role.kind,
    specVersion: spec.version,
    promotedAtVersion: await promotedAtVersion(folder),
    isStandby: await exists(signalFile),
    state,
  });
  switch (decision.kind) {
    case "as-it-is":
      return;
    case "make-standby":
      await removeSlots(folder);
      await writeDurableFile(signalFile, "");
      return;
    case "refuse":
      throw new EngineError(
        "standby-diverged",
        `instance "${spec.name}" is to be a standby, but was a primary that did not shut down cleanly: pg_control says "${state}"`,
        {
          hint: "It may have written what no other instance has. Keep its data aside, and let it be made anew from its primary.",
        },
      );
  }
}

/**
 * A former primary's slots for its standbys, which follow another one now: they would keep WAL here for ever. The rename first, as PostgreSQL
 * does it (`ReplicationSlotDropPtr`): it refuses to start on a slot that is half removed, and clears away what ends with `.tmp`.
 */
async function removeSlots({ data }: InstanceFolder): Promise<void> {
  const folder = join(data, "pg_replslot");
  try {
    for (const name of (await readdir(folder)).filter((entry) => entry.startsWith(slotNameOf("")))) {
      const removed = join(folder, name.endsWith(".tmp") ? name : `${name}.tmp`);
      await rename(join(folder, name), removed);
      await syncDirectory(folder);
      await rm(removed, { recursive: true });
    }
  } catch (error) {
    throw fileError("clear", folder, error);
  }
}

const noteSchema = z.object({ specVersion: z.number().int() });
const noteOf = (folder: InstanceFolder) => join(folder.root, "promoted.json");

/**
 * Notes, durably and before it is done, that this instance is promoted while it follows this version. A crash between the two leaves a note
 * too many: the server is still a standby then, and that is looked at first.
 */
export async function notePromotion(folder: InstanceFolder, { version }: InstanceSpec): Promise<void> {
  await writeDurableFile(noteOf(folder), `${JSON.stringify({ specVersion: version })}\n`);
}

async function promotedAtVersion(folder: InstanceFolder): Promise<number | undefined> {
  const path = noteOf(folder);
  try {
    return noteSchema.parse(JSON.parse(await readFile(path, "utf8"))).specVersion;
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return undefined;
    throw new EngineError(
      "file-io",
      `could not read "${path}", which says whether this instance was promoted`,
      {
        cause,
        hint: "Remove it if the instance is to be what its specification says.",
      },
    );
  }
}
