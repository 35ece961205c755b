import { crc32 } from "node:zlib";
import type { BlockList } from "../common/block-pool.ts";
import { assert, type EngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Log } from "../common/log.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { CodecName } from "../codec/codec.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import {
  checksumOf,
  encodedChecksum,
  formatCrc32Checksum,
  type ContentChecksum,
} from "./content-checksum.ts";
import type { WalEncoder } from "./encode-wal.ts";
import { LocalWal, type ExpectedSystem } from "./local-wal.ts";
import { type BufferLease, wholeFileLimitBytes, type ReadBuffers } from "./read-buffers.ts";
import type { RepositoryClaims } from "./repository-claims.ts";
import { storeLargeWal } from "./store-large-wal.ts";
import { attempt, findTwin, storePieces, storeSum, type PushOutcome } from "./store-wal.ts";

/** What pushes of one process share. */
export interface PushContext {
  readonly claims: RepositoryClaims;
  readonly buffers: ReadBuffers;
  readonly encoder: WalEncoder;
  readonly log: Log;
}

export interface PushRequest {
  readonly path: string;
  readonly file: WalFileName;
  readonly targets: readonly ArchiveTarget[];
  /** The PostgreSQL system the file must come from. */
  readonly expected: ExpectedSystem;
  readonly signal?: AbortSignal;
}

/** What was pushed, and how each target stands. */
export interface PushReport {
  readonly file: WalFileName;
  readonly sizeBytes: number;
  /** When the file was last written, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Of the file's content; undefined when every target failed before the file was read. */
  readonly checksum: ContentChecksum | undefined;
  /** In the order of the targets. */
  readonly outcomes: readonly PushOutcome[];
}

/**
 * Archives one WAL file in all targets at once: one read, one compression per distinct codec, one request per target.
 * When an outcome is not `failed`, that repository has the whole file durably, under its name, and has had no other
 * content under it. A target's failure is an outcome; what is wrong with the file itself throws (`wal-refused`, `file-io`).
 *
 * Killed anywhere, the next push finds either nothing or the same content; see `storeSum` for the one object more.
 */
export async function pushWal(context: PushContext, request: PushRequest): Promise<PushReport> {
  const { file, path, expected, signal } = request;
  await using local = await LocalWal.open(path, file, expected);
  const states = await Promise.all(
    request.targets.map(async (target) => prepare(context, target, local, expected, signal)),
  );
  const open = states.filter((state) => state.outcome === undefined);
  faultPoint("archive:before-store");
  const stored = open.length === 0 ? undefined : await storeIn(context, open, local, signal);
  faultPoint("archive:after-store");
  const checksum = stored?.checksum ?? (states.some(isDone) ? await readChecksum(local) : undefined);
  await local.requireUnchanged();

  const outcomes = await Promise.all(
    states.map(async ({ target, outcome }) => {
      if (outcome !== undefined) return outcome;
      const result = stored?.outcomes.get(target);
      assert(result !== undefined, `target "${target.repository.name}" has an outcome`);
      const sum = stored?.crc32;
      if (result.kind === "failed" || sum === undefined) return result;
      return attempt(target, async () => {
        await storeSum(target, local, sum, signal);
        return result;
      });
    }),
  );
  return { file, sizeBytes: local.sizeBytes, mtimeNs: local.mtimeNs, checksum, outcomes };
}

/** Throws the failure that matters most, when any target failed: conflicts and refusals before outages. */
export function requireAllArchived(report: PushReport): void {
  const errors = report.outcomes.flatMap((outcome) => (outcome.kind === "failed" ? [outcome.error] : []));
  const worst = errors.find((error: EngineError) => !error.retryable) ?? errors[0];
  if (worst !== undefined) throw worst;
}

interface TargetState {
  readonly target: ArchiveTarget;
  /** Set when nothing is left to store: failed, or found under another codec. */
  readonly outcome: PushOutcome | undefined;
}

const isDone = (state: TargetState) => state.outcome !== undefined && state.outcome.kind !== "failed";

/** Claims the repository and looks for the file under other codecs. */
async function prepare(
  context: PushContext,
  target: ArchiveTarget,
  local: LocalWal,
  expected: ExpectedSystem,
  signal: AbortSignal | undefined,
): Promise<TargetState> {
  let twin: PushOutcome | undefined;
  const tried = await attempt(target, async () => {
    const identity = await context.claims.claim(target.repository, expected, target.codec, signal);
    twin = await findTwin(target, identity, local, signal);
    return twin ?? { kind: "already-archived", repository: target.repository.name };
  });
  return { target, outcome: tried.kind === "failed" ? tried : twin };
}

interface Stored {
  /** Known when something was stored that needs it beside it. */
  readonly crc32: number | undefined;
  readonly checksum: ContentChecksum | undefined;
  readonly outcomes: ReadonlyMap<ArchiveTarget, PushOutcome>;
}

async function storeIn(
  context: PushContext,
  states: readonly TargetState[],
  local: LocalWal,
  signal: AbortSignal | undefined,
): Promise<Stored> {
  const groups = groupByForm(states.map(({ target }) => target));
  return local.sizeBytes <= wholeFileLimitBytes
    ? storeSmall(context, groups, local, signal)
    : storeLarge(groups, local, signal);
}

async function storeSmall(
  context: PushContext,
  groups: readonly (readonly ArchiveTarget[])[],
  local: LocalWal,
  signal: AbortSignal | undefined,
): Promise<Stored> {
  // Held until after the upload only when the content goes out as it is; otherwise given back once compressed.
  using lease = await context.buffers.lease(local.sizeBytes);
  await local.readWhole(lease.bytes);
  const encoded = await encodeAll(context, groups, lease, signal);
  await local.requireUnchanged();
  const isPlain = encoded.some(({ codec }) => codec === "none");
  const sum = isPlain ? crc32(lease.bytes) : undefined;
  const checksum = sum === undefined ? checksumOfEncoded(encoded, lease.bytes) : formatCrc32Checksum(sum);
  if (!isPlain) lease[Symbol.dispose]();
  const results = await Promise.all(
    encoded.flatMap(({ targets, pieces }) =>
      targets.map(async (target): Promise<[ArchiveTarget, PushOutcome]> => [
        target,
        await attempt(target, async () => storePieces(target, local, pieces, signal)),
      ]),
    ),
  );
  // A request that timed out on a file system that hangs goes on when that wakes up.
  const isOver = results.every(([, outcome]) => outcome.kind !== "failed");
  if (isPlain && !isOver) lease.discard();
  for (const { blocks } of encoded) {
    if (isOver) blocks?.[Symbol.dispose]();
    else blocks?.discard();
  }
  return { crc32: sum, checksum, outcomes: new Map(results) };
}

interface Encoded {
  readonly targets: readonly ArchiveTarget[];
  readonly codec: CodecName;
  readonly blocks: BlockList | undefined;
  readonly pieces: readonly Uint8Array[];
}

/** Once per form. After a failure the lease's memory is not used again: a native step may still be reading it. */
async function encodeAll(
  { encoder }: PushContext,
  groups: readonly (readonly ArchiveTarget[])[],
  lease: BufferLease,
  signal: AbortSignal | undefined,
): Promise<readonly Encoded[]> {
  const settled = await Promise.allSettled(
    groups.map(async (targets): Promise<Encoded> => {
      const [form] = targets;
      assert(form !== undefined, "a group has a target");
      const { codec } = form;
      const blocks = codec === "none" ? undefined : await encoder.encode(lease.bytes, form, signal);
      return { targets, codec, blocks, pieces: blocks?.pieces ?? [lease.bytes] };
    }),
  );
  const encoded = settled.flatMap((group) => (group.status === "fulfilled" ? [group.value] : []));
  const failed = settled.find((group) => group.status === "rejected");
  if (failed === undefined) return encoded;
  lease.discard();
  for (const { blocks } of encoded) blocks?.[Symbol.dispose]();
  throw failed.reason;
}

async function storeLarge(
  groups: readonly (readonly ArchiveTarget[])[],
  local: LocalWal,
  signal: AbortSignal | undefined,
): Promise<Stored> {
  const outcomes = new Map<ArchiveTarget, PushOutcome>();
  let sum: number | undefined;
  for (const targets of groups) {
    const stored = await storeLargeWal(targets, local, signal);
    sum = stored.crc32;
    for (const [index, target] of targets.entries()) {
      const outcome = stored.outcomes[index];
      if (outcome !== undefined) outcomes.set(target, outcome);
    }
  }
  return { crc32: sum, checksum: sum === undefined ? undefined : formatCrc32Checksum(sum), outcomes };
}

function groupByForm(targets: readonly ArchiveTarget[]): readonly (readonly ArchiveTarget[])[] {
  return [...Map.groupBy(targets, ({ codec, level }) => `${codec} ${level}`).values()];
}

/** From the encoders where one of them has it, else computed. */
function checksumOfEncoded(
  encoded: readonly { readonly codec: CodecName; readonly pieces: readonly Uint8Array[] }[],
  content: Uint8Array,
): ContentChecksum {
  for (const { codec, pieces } of encoded) {
    const checksum = encodedChecksum(codec, pieces);
    if (checksum !== undefined) return checksum;
  }
  return checksumOf(content);
}

async function readChecksum(local: LocalWal): Promise<ContentChecksum> {
  let sum = 0;
  for await (const chunk of local.chunks()) sum = crc32(chunk, sum);
  return formatCrc32Checksum(sum);
}
