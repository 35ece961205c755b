import { EngineError } from "../common/errors.ts";
import { mib } from "../common/units.ts";
import { parseBackupLabel } from "../postgres/backup-label.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import { parseTimelineHistory, type TimelineHistory } from "../postgres/timeline-history.ts";
import { checkSegmentHeader, parseWalPageHeader } from "../postgres/wal-page-header.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";

/** History and label files are a few hundred bytes; one this large is something else. */
export const textFileLimitBytes = mib;

/** Checks the bytes of a history or label file. Throws `wal-refused`. */
export function checkWalText(file: WalFileName, bytes: Uint8Array): void {
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
    if (file.kind === "history") {
      requireWholeLines(text);
      requireAncestors(parseTimelineHistory(file.timeline, text));
    }
    if (file.kind === "backup-label") {
      const { startSegment } = parseBackupLabel(text);
      if (startSegment !== file.segment) throw new Error(`it is the label of a backup from ${startSegment}`);
    }
  } catch (cause) {
    throw new EngineError("wal-refused", `refused WAL file "${file.name}": it does not have its form`, {
      cause,
      hint: "Look at the file in pg_wal: it should be a few lines of text.",
      details: { segment: file.name },
    });
  }
}

/**
 * PostgreSQL ends the last line (writeTimeLineHistory in timeline.c). A line without its end was cut, and may name an
 * earlier switch position than was written. People may have added comments: those cut short harm nobody.
 */
function requireWholeLines(text: string): void {
  const last = text.slice(text.lastIndexOf("\n") + 1).trim();
  if (last !== "" && !last.startsWith("#")) {
    throw new EngineError("postgres-format", `its last line "${last}" is cut`);
  }
}

/** PostgreSQL writes a history file for a timeline that has a parent; one that names none was cut. */
function requireAncestors({ entries }: TimelineHistory): void {
  if (entries.length === 0) throw new EngineError("postgres-format", "it names no parent timeline");
}

/** Checks the first bytes of a segment or partial segment against its name, size and system. Throws `wal-refused`. */
export function checkWalHead(
  file: Extract<WalFileName, { kind: "segment" | "partial" }>,
  head: Uint8Array,
  facts: {
    readonly sizeBytes: number;
    readonly systemIdentifier?: SystemIdentifier;
    readonly walSegmentSizeBytes?: number;
  },
): void {
  const refuse = (reason: string) => {
    throw new EngineError("wal-refused", `refused WAL file "${file.name}": ${reason}`, {
      hint: "The file is not whole, or belongs to another cluster.",
      details: { segment: file.name },
    });
  };
  const { sizeBytes, walSegmentSizeBytes, systemIdentifier } = facts;
  // PostgreSQL gives partial segments the full size; other writers may cut them behind the last record.
  const fileSizeBytes =
    file.kind === "partial"
      ? Math.max(sizeBytes, parseWalPageHeader(head)?.segmentSizeBytes ?? 0)
      : sizeBytes;
  if (walSegmentSizeBytes !== undefined && fileSizeBytes !== walSegmentSizeBytes) {
    refuse(`it has ${sizeBytes} bytes, but segments here have ${walSegmentSizeBytes}`);
  }
  checkSegmentHeader(head, {
    name: file.segment,
    fileSizeBytes,
    ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
  });
}
