import type { CodecName } from "../codec/codec.ts";
import type { Repository } from "../repository/repository.ts";

/** One place that WAL goes to, and in which form. */
export interface ArchiveTarget {
  readonly repository: Repository;
  readonly codec: CodecName;
  /** The codec's own scale; absent means its fast level. */
  readonly level?: number;
}
