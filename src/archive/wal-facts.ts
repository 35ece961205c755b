import type { WalFileName } from "../postgres/wal-file-name.ts";

/** A local WAL file, as far as storing and comparing need to know it. */
export interface WalFacts {
  readonly file: WalFileName;
  readonly path: string;
  readonly sizeBytes: number;
  /** When it was last written, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}
