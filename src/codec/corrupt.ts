import { EngineError, systemErrorCode } from "../common/errors.ts";

/**
 * The error for bytes that do not have their documented form. A codec does not know which object it reads, so `reason`
 * names the format and the caller adds the key by wrapping it.
 */
export function corruptData(format: string, reason: string, cause?: unknown): EngineError {
  return new EngineError("object-corrupt", `damaged ${format} data: ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Compare the object with another copy of it; a second repository may hold a good one.",
  });
}

/** The error for data that stops before its format says it is complete. */
export function truncatedData(format: string): EngineError {
  return corruptData(format, "it ends early");
}

/** The error for data that go on after their format says they are complete. */
export function trailingData(format: string): EngineError {
  return corruptData(format, "something else follows its end");
}

const damageCodes: ReadonlySet<string> = new Set(["Z_DATA_ERROR", "Z_NEED_DICT"]);

/**
 * Turns an error of `node:zlib` into `object-corrupt` where the data are to blame; anything else (an abort, a failure
 * of another stage of the pipeline, lack of memory) passes unchanged. Never called for encoders.
 */
export function nativeDecodeError(format: string, error: Error): Error {
  const code = systemErrorCode(error);
  if (code === "Z_BUF_ERROR") return truncatedData(format);
  if (code === "ERR_TRAILING_JUNK_AFTER_STREAM_END") return trailingData(format);
  if (code === undefined || code === "ZSTD_error_memory_allocation") return error;
  if (!damageCodes.has(code) && !code.startsWith("ZSTD_error_")) return error;
  return corruptData(format, error.message, error);
}
