import { z } from "zod";
import { describeError } from "../../common/errors.ts";
import { objectStore, type inTreeStore } from "../../manifest/kinds/object-store.ts";
import {
  encryptionKeyOf,
  encryptionSecretAnnotation,
  type EncryptionKeyName,
} from "../../manifest/encryption-secret.ts";
import type { RepositorySettings } from "../../repository/repository-settings.ts";
import { refusedS3Settings } from "../../repository/s3-settings.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { resolveAzure, type AzureFileCredentials } from "./azure-resolution.ts";
import { resolveGcs } from "./gcs-resolution.ts";
import { sidecarSettings } from "./sidecar-environment.ts";

/** From what manifests say of a store, and the Secrets they name, to what is needed to open it. */

export type StoreConfiguration = z.infer<typeof inTreeStore>;
export type KeySelector = { readonly name: string; readonly key: string };

/** One store as a cluster uses it. */
export interface StoreDescription {
  /** Unique within the cluster; what messages call it. */
  readonly name: string;
  readonly objectStore: string | undefined;
  readonly serverName: string;
  readonly configuration: StoreConfiguration;
  readonly retentionPolicy: string | undefined;
  readonly retentionIntervalSeconds: number;
  /** Of the sidecar, as far as it is plain text: `sidecar-environment.ts` says what is of use. */
  readonly environment: Readonly<Record<string, string>>;
  /** Name of the Secret with which everything in it is encrypted. */
  readonly encryptionSecret?: string;
}

/** What opens an encrypted repository, as its Secret has it. */
export interface StoreEncryption {
  readonly kind: EncryptionKeyName;
  readonly value: string;
}

/** As they are written into a file: an object as JSON, and a text as it is. */
export type StoreCredentials =
  | { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string }
  | AzureFileCredentials
  | string;

/** Everything of a store, its secrets included: for files of mode 0600 and nothing else. */
export interface ResolvedStore extends StoreDescription {
  /** Without the paths of credentials and certificates, which whoever writes those files adds. */
  readonly settings: RepositorySettings;
  readonly credentials: StoreCredentials | undefined;
  /** PEM. */
  readonly certificates: string | undefined;
  readonly encryption: StoreEncryption | undefined;
}

export type Resolution<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** What is not there, or of no use, each in a sentence that names it. */
  | { readonly kind: "missing"; readonly problems: readonly string[] };

export const defaultRetentionIntervalSeconds = 1800;

/** The ObjectStore of this name. */
export function describeObjectStore(
  store: ResourceStore,
  namespace: string,
  name: string,
  serverName: string,
): Resolution<StoreDescription> {
  const resource = store.get({ kind: "ObjectStore", namespace, name });
  if (resource === undefined) {
    return missing(`ObjectStore "${name}" is not in namespace "${namespace}"`);
  }
  const parsed = objectStore.shape.spec.safeParse(resource.content["spec"]);
  if (!parsed.success) return missing(`ObjectStore "${name}" cannot be understood: apply its manifest again`);
  const { configuration, retentionPolicy, instanceSidecarConfiguration: sidecar } = parsed.data;
  const environment = Object.fromEntries(
    (sidecar?.env ?? []).flatMap((entry) => {
      const value = entry["value"];
      return typeof value === "string" ? [[entry.name, value]] : [];
    }),
  );
  const encryptionSecret = resource.metadata.annotations[encryptionSecretAnnotation];
  return ok({
    name,
    objectStore: name,
    serverName,
    configuration,
    retentionPolicy,
    retentionIntervalSeconds: sidecar?.retentionPolicyIntervalSeconds ?? defaultRetentionIntervalSeconds,
    environment,
    ...(encryptionSecret === undefined ? {} : { encryptionSecret }),
  });
}

/** Looks up what a store's configuration refers to. */
export function resolveStore(
  store: ResourceStore,
  namespace: string,
  description: StoreDescription,
): Resolution<ResolvedStore> {
  const { configuration, name } = description;
  const problems: string[] = [];
  const read = (selector: KeySelector | undefined, what: string): string | undefined => {
    if (selector === undefined) return undefined;
    const value = readSecret(store, namespace, selector);
    if (value.kind === "missing") problems.push(`${what} of store "${name}": ${value.problems.join("; ")}`);
    return value.kind === "ok" ? value.value : undefined;
  };
  const url = urlOf(configuration.destinationPath);
  if (url === undefined) {
    problems.push(
      `store "${name}" is at "${configuration.destinationPath}", and only s3://, gs://, containers of Azure and directories are supported so far`,
    );
  }
  const s3 = configuration.s3Credentials;
  const accessKeyId = read(s3?.accessKeyId, "the access key");
  const secretAccessKey = read(s3?.secretAccessKey, "the secret key");
  const sessionToken = read(s3?.sessionToken, "the session token");
  const region = typeof s3?.region === "string" ? s3.region : read(s3?.region, "the region");
  const certificates = read(configuration.endpointCA, "endpointCA");
  const encryption = readEncryption(store, namespace, description);
  if (encryption?.kind === "missing") problems.push(...encryption.problems);
  if ((s3?.accessKeyId === undefined) !== (s3?.secretAccessKey === undefined)) {
    problems.push(`store "${name}" needs both accessKeyId and secretAccessKey`);
  }
  const google = resolveGcs(name, configuration, read);
  problems.push(...google.problems);
  const azure = resolveAzure(name, configuration, read);
  problems.push(...azure.problems);
  if (problems.length > 0 || url === undefined) return { kind: "missing", problems };
  const settings = {
    name,
    url,
    ...sidecarSettings(description.environment, {
      url,
      endpoint: configuration.endpointURL,
      hasKeys: accessKeyId !== undefined,
    }),
    ...(region === undefined ? {} : { region }),
    ...headersOf(configuration),
  };
  const refused = problemsOf(name, settings);
  if (refused.length > 0) return { kind: "missing", problems: refused };
  return ok({
    ...description,
    settings: { ...settings, ...azure.settings },
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined
        ? (google.credentials ?? azure.credentials)
        : { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    certificates,
    encryption: encryption?.kind === "ok" ? encryption.value : undefined,
  });
}

/** What the store at this address does not do, or that the address is none. */
function problemsOf(name: string, settings: RepositorySettings): readonly string[] {
  try {
    return refusedS3Settings(settings).map(
      ({ problem, hint }) => `store "${name}" cannot work so: ${problem}. ${hint}`,
    );
  } catch (error) {
    return [`store "${name}" cannot be opened: ${describeError(error)}`];
  }
}

function readEncryption(
  store: ResourceStore,
  namespace: string,
  { name, encryptionSecret }: StoreDescription,
): Resolution<StoreEncryption> | undefined {
  if (encryptionSecret === undefined) return undefined;
  const secret = store.get({ kind: "Secret", namespace, name: encryptionSecret });
  const kind = encryptionKeyOf(Object.keys(secret?.content["data"] ?? {}));
  if (secret !== undefined && kind === undefined) {
    return missing(
      `the encryption of store "${name}": Secret "${encryptionSecret}" must have one of the keys "identity" and "passphrase"`,
    );
  }
  const value = readSecret(store, namespace, { name: encryptionSecret, key: kind ?? "identity" });
  if (value.kind === "missing") {
    return missing(`the encryption of store "${name}": ${value.problems.join("; ")}`);
  }
  return ok({ kind: kind ?? "identity", value: value.value });
}

function headersOf({
  wal,
  data,
  tags,
  historyTags,
}: StoreConfiguration): Pick<RepositorySettings, "serverSideEncryption" | "objectTags" | "historyTags"> {
  const encryption = {
    ...(wal?.encryption === undefined ? {} : { wal: wal.encryption }),
    ...(data?.encryption === undefined ? {} : { base: data.encryption }),
  };
  return {
    ...(Object.keys(encryption).length === 0 ? {} : { serverSideEncryption: encryption }),
    ...(tags === undefined ? {} : { objectTags: tags }),
    ...(historyTags === undefined ? {} : { historyTags }),
  };
}

/** A value of a Secret, decoded. The problem names Secret and key, never a value. */
export function readSecret(
  store: ResourceStore,
  namespace: string,
  { name, key }: KeySelector,
): Resolution<string> {
  const secret = store.get({ kind: "Secret", namespace, name });
  if (secret === undefined) return missing(`Secret "${name}" is not in namespace "${namespace}"`);
  const data = secretData.safeParse(secret.content["data"] ?? {});
  const encoded = data.success ? data.data[key] : undefined;
  if (encoded === undefined) {
    const keys = data.success ? Object.keys(data.data) : [];
    return missing(
      `Secret "${name}" has no key "${key}", only ${keys.map((has) => `"${has}"`).join(", ") || "none"}`,
    );
  }
  return ok(Buffer.from(encoded, "base64").toString("utf8"));
}

const secretData = z.record(z.string(), z.string());

/** A trailing slash means nothing to Barman either. */
function urlOf(destinationPath: string): string | undefined {
  const path = destinationPath.replace(/(?<=.)\/+$/, "");
  const starts = ["s3://", "gs://", "azure://", "https://", "http://", "file://", "/"];
  return starts.some((start) => path.startsWith(start)) ? path : undefined;
}

function ok<T>(value: T): Resolution<T> {
  return { kind: "ok", value };
}

/** There is one problem, this one. */
export function missing(problem: string): Extract<Resolution<never>, { kind: "missing" }> {
  return { kind: "missing", problems: [problem] };
}
