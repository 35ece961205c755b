/** Signing in as whom this machine is, without a key: Microsoft Entra ID. */
import type { TokenCredential } from "@azure/identity";

/** The managed identity of this machine alone, or all that Azure's libraries know (workload identity, `az login`, …). */
export type AzureIdentity = "default" | "managed-identity";

/** The package is large, so it is loaded when an identity is asked for; nothing is sent before the first request. */
export async function openIdentity(identity: AzureIdentity): Promise<TokenCredential> {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import("@azure/identity");
  if (identity === "default") return new DefaultAzureCredential();
  // Of several identities that a machine has: the same variable as everywhere else in Azure's libraries.
  const clientId = process.env["AZURE_CLIENT_ID"];
  return new ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
}
