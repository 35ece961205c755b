import { isRecord } from "../../manifest-object.ts";
import { configurations } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { recordAt } from "../world.ts";

/** Credentials of a store. */

const credentialProblems: Rule = {
  id: "credentials",
  severity: "error",
  summary: "credentials that are missing, or contradict each other",
  explanation:
    "A store has exactly one of s3Credentials, azureCredentials and googleCredentials. S3: both keys, or inheritFromIAMRole. Azure: a connection string alone; or a storage account with exactly one of key, SAS token, Azure AD and default credentials. Google: a key, or gkeEnvironment. CloudNativePG's plugin does not look at this before the first backup fails.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      const configuration = recordAt(object, ...path) ?? {};
      for (const message of credentialErrors(configuration)) yield { object, path, message };
    }
  },
};

function credentialErrors(configuration: Readonly<Record<string, unknown>>): readonly string[] {
  const given = ["azureCredentials", "s3Credentials", "googleCredentials"].filter((name) =>
    isRecord(configuration[name]),
  );
  const destination = configuration["destinationPath"];
  const isLocal = typeof destination === "string" && /^(file:|\/)/.test(destination);
  if (given.length === 0) {
    return isLocal
      ? []
      : [
          "missing credentials: one and only one of azureCredentials, s3Credentials and googleCredentials is required",
        ];
  }
  if (given.length > 1) return [`too many credentials: ${given.join(" and ")}`];
  const part = configuration[given[0] ?? ""];
  if (!isRecord(part)) return [];
  const isAzure = typeof destination === "string" && /^(?:https?|azure):/.test(destination);
  if (given[0] === "s3Credentials") {
    return isAzure
      ? ["s3Credentials are for s3://, and destinationPath is the address of a container of Azure"]
      : s3Errors(part);
  }
  if (given[0] === "azureCredentials" && !isAzure) {
    return ["azureCredentials are given, but destinationPath is no address of a container of Azure"];
  }
  return given[0] === "azureCredentials" ? azureErrors(part) : googleErrors(part);
}

function s3Errors(part: Readonly<Record<string, unknown>>): readonly string[] {
  const hasId = part["accessKeyId"] !== undefined;
  const hasSecret = part["secretAccessKey"] !== undefined;
  const hasRole = part["inheritFromIAMRole"] === true;
  if (hasId !== hasSecret) return ["both accessKeyId and secretAccessKey must be given"];
  if (hasId && hasRole) return ["keys together with inheritFromIAMRole: only one of them may be given"];
  if (!hasId && !hasRole) return ["s3Credentials has neither keys nor inheritFromIAMRole"];
  return [];
}

function azureErrors(part: Readonly<Record<string, unknown>>): readonly string[] {
  const has = (name: string): boolean => part[name] !== undefined && part[name] !== false;
  const ways = ["storageKey", "storageSasToken", "inheritFromAzureAD", "useDefaultAzureCredentials"].filter(
    has,
  );
  if (has("connectionString")) {
    return ways.length > 0 || has("storageAccount")
      ? ["with a connectionString the other parameters must be empty"]
      : [];
  }
  if (ways.length !== 1) {
    return [
      "without a connectionString exactly one of storageKey, storageSasToken, inheritFromAzureAD and useDefaultAzureCredentials is required",
    ];
  }
  const needsAccount = has("storageKey") || has("storageSasToken");
  return needsAccount && !has("storageAccount")
    ? ["storageAccount must be given with a key or SAS token"]
    : [];
}

function googleErrors(part: Readonly<Record<string, unknown>>): readonly string[] {
  const hasKey = part["applicationCredentials"] !== undefined;
  if (part["gkeEnvironment"] === true) {
    return hasKey ? ["with gkeEnvironment, applicationCredentials must not be given"] : [];
  }
  return hasKey ? [] : ["without gkeEnvironment, applicationCredentials must be given"];
}

export const credentialRules: readonly Rule[] = [credentialProblems];
