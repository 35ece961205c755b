import { EngineError } from "../common/errors.ts";

declare const brand: unique symbol;

/** Names one PostgreSQL system across hosts and restores; one step of an object key (Barman's `server_name`). */
export type ServerName = string & { readonly [brand]: "ServerName" };

/** Throws `usage` unless the text can be one step of an object key in every store. */
export function parseServerName(text: string): ServerName {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text)) return text as ServerName;
  throw new EngineError("usage", `"${text}" cannot be a server name`, {
    hint: "Use 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
  });
}
