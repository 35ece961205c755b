import { EngineError } from "../common/errors.ts";

/**
 * The unsigned 64-bit number that `initdb` gives a cluster. The primary, its standbys and every restore of its backups
 * share it; two clusters that share it by chance do not exist in practice.
 */
export type SystemIdentifier = bigint & { readonly __brand: "SystemIdentifier" };

/** Takes an unsigned 64-bit number; throws `postgres-format` for anything else and for 0, which `initdb` never gives. */
export function systemIdentifier(value: bigint): SystemIdentifier {
  if (value < 1n || value >= 1n << 64n) {
    throw new EngineError("postgres-format", `"${value}" is not a system identifier`);
  }
  return value as SystemIdentifier;
}

/** Reads the decimal form that `pg_controldata` and `pg_control_system()` print. Throws `postgres-format`. */
export function parseSystemIdentifier(text: string): SystemIdentifier {
  if (!/^\d{1,20}$/.test(text)) {
    throw new EngineError("postgres-format", `"${text}" is not a system identifier`, {
      hint: "It is the decimal number that pg_controldata prints as the database system identifier.",
    });
  }
  return systemIdentifier(BigInt(text));
}

/** The decimal form; text, because JSON numbers cannot hold it. */
export function formatSystemIdentifier(identifier: SystemIdentifier): string {
  return identifier.toString();
}
