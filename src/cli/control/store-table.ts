import { z } from "zod";
import { formatTable } from "../output.ts";

/** What the status of a Cluster or a Server says of one of its stores, as far as commands show it. */
export const storeStatus = z.looseObject({
  name: z.string(),
  serverName: z.string().optional(),
  state: z.string().optional(),
  lastStoredWAL: z.string().optional(),
  lastStoredTime: z.string().optional(),
  lagFiles: z.number().optional(),
  healing: z.boolean().optional(),
  failingSince: z.string().optional(),
  backups: z.number().optional(),
  firstRecoverabilityPoint: z.string().optional(),
  error: z.string().optional(),
});
export type StoreStatus = z.infer<typeof storeStatus>;

/** One line for each store; empty without stores. */
export function storeTable(stores: readonly StoreStatus[]): string {
  if (stores.length === 0) return "";
  const rows = stores.map((store) => [
    store.name,
    store.serverName ?? "",
    store.state ?? "",
    store.lastStoredWAL ?? "",
    store.backups === undefined ? "" : String(store.backups),
    store.firstRecoverabilityPoint ?? "",
    whatOf(store),
  ]);
  return `\n${formatTable(["STORE", "SERVER NAME", "STATE", "LAST WAL", "BACKUPS", "RECOVERABLE FROM", "WHAT"], rows)}`;
}

function whatOf({ lagFiles = 0, healing, failingSince, error }: StoreStatus): string {
  const lag =
    lagFiles === 0
      ? []
      : [`lacks ${lagFiles} WAL files${healing === true ? ", which are brought there" : ""}`];
  const since = failingSince === undefined ? "" : `since ${failingSince}: `;
  return [...lag, ...(error === undefined ? [] : [`${since}${error}`])].join("; ");
}
