import { assert, EngineError } from "../common/errors.ts";

/**
 * A position in the WAL stream: the number of bytes before it, as an unsigned 64-bit number. Zero is PostgreSQL's
 * "invalid" position; no record starts there.
 */
export type Lsn = bigint & { readonly __brand: "Lsn" };

const lsnPattern = /^([0-9a-fA-F]{1,8})\/([0-9a-fA-F]{1,8})$/;

/** Takes a number of bytes (0 to 2^64-1) as a position; anything else is a bug of the caller. */
export function lsn(value: bigint): Lsn {
  assert(value >= 0n && value < 1n << 64n, `an LSN is an unsigned 64-bit number, not ${value}`);
  return value as Lsn;
}

/**
 * Reads PostgreSQL's text form, `16/B374D848`, exactly as its type `pg_lsn` does (`pg_lsn_in_internal`): either half
 * has one to eight hexadecimal digits of any case, and nothing stands around them. Throws `postgres-format`.
 */
export function parseLsn(text: string): Lsn {
  const match = lsnPattern.exec(text);
  if (match === null) {
    throw new EngineError("postgres-format", `"${text}" is not an LSN`, {
      hint: "Write an LSN as PostgreSQL does, for example 16/B374D848.",
    });
  }
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** PostgreSQL's text form (`LSN_FORMAT_ARGS` with `%X/%X`): upper case, no leading zeros. */
export function formatLsn(position: Lsn): string {
  const high = (position >> 32n).toString(16).toUpperCase();
  const low = (position & 0xffff_ffffn).toString(16).toUpperCase();
  return `${high}/${low}`;
}
