import { join } from "node:path";
import type { InstanceFolder } from "../instance-folder.ts";

/**
 * Where an instance keeps a tablespace: `tablespaces/<name>`. A tablespace may have any name; one that is no plain name of a
 * directory is kept under its OID.
 */
export function tablespaceDirectory(
  { tablespaces }: InstanceFolder,
  { name, oid }: { readonly name: string; readonly oid: number },
): string {
  return join(tablespaces, /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) ? name : String(oid));
}
