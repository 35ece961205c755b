/** The JSON files of Google's credentials: which there are, and which of their fields must be there. */
import { parseJsonObject, type CredentialsFormat } from "../credentials-file.ts";

/** A file's content; it holds secrets. */
export type GoogleCredentials = Readonly<Record<string, unknown>>;

/** The kinds of credentials (`type`), each with the fields that it is nothing without. */
const requiredFields: Readonly<Record<string, readonly string[]>> = {
  service_account: ["client_email", "private_key"],
  /** Workload identity federation: a token of somebody else's is exchanged for one of Google's. */
  external_account: ["audience", "subject_token_type", "token_url"],
  external_account_authorized_user: ["client_id", "refresh_token"],
  /** What `gcloud auth application-default login` leaves. */
  authorized_user: ["client_id", "client_secret", "refresh_token"],
  impersonated_service_account: ["service_account_impersonation_url"],
};

/** Of files that are ours; `ownerOnly: false` for one whose mode others decide. */
export function googleCredentialsFormat(ownerOnly: boolean): CredentialsFormat<GoogleCredentials> {
  return {
    parse: parseGoogleCredentials,
    ownerOnly,
    hint: "It is the JSON file that Google gave: a service account's key, or the configuration of a workload identity federation.",
  };
}

/** Undefined for a text that is no credentials of Google's. */
export function parseGoogleCredentials(text: string): GoogleCredentials | undefined {
  const value = parseJsonObject(text);
  const required = typeof value?.["type"] === "string" ? requiredFields[value["type"]] : undefined;
  if (value === undefined || required === undefined) return undefined;
  const isThere = (name: string): boolean => typeof value[name] === "string" && value[name] !== "";
  return required.every(isThere) ? value : undefined;
}
