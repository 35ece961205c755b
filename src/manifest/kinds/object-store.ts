import { z } from "zod";
import { keySelector, objectOf, retentionPolicy } from "./common.ts";
import { kubernetesOnlyFields } from "./field-facts.ts";

/** `BarmanObjectStoreConfiguration` of the barman-cloud library 0.5.1 (spec: section 2). */

const walCodecs = ["bzip2", "gzip", "lz4", "snappy", "xz", "zstd"] as const;
const dataCodecs = ["bzip2", "gzip", "lz4", "snappy"] as const;
const serverSideEncryption = z.enum(["AES256", "aws:kms"]);
const tags = z.record(z.string(), z.string());

const s3Credentials = z.strictObject({
  accessKeyId: keySelector.optional(),
  secretAccessKey: keySelector.optional(),
  sessionToken: keySelector.optional(),
  /** A plain text is against CloudNativePG's schema; the rule `region-not-secret` says so, and we take it. */
  region: z.union([keySelector, z.string()]).optional(),
  inheritFromIAMRole: z.boolean().optional(),
});

const azureCredentials = z.strictObject({
  connectionString: keySelector.optional(),
  storageAccount: keySelector.optional(),
  storageKey: keySelector.optional(),
  storageSasToken: keySelector.optional(),
  inheritFromAzureAD: z.boolean().optional(),
  useDefaultAzureCredentials: z.boolean().optional(),
});

const googleCredentials = z.strictObject({
  applicationCredentials: keySelector.optional(),
  gkeEnvironment: z.boolean().optional(),
});

export const storeConfigurationFields = {
  destinationPath: z.string().min(1),
  endpointURL: z.string().optional(),
  endpointCA: keySelector.optional(),
  s3Credentials: s3Credentials.optional(),
  azureCredentials: azureCredentials.optional(),
  googleCredentials: googleCredentials.optional(),
  wal: z
    .strictObject({
      compression: z.enum(walCodecs).optional(),
      encryption: serverSideEncryption.optional(),
      maxParallel: z.number().int().min(1).optional(),
      ...kubernetesOnlyFields(["archiveAdditionalCommandArgs", "restoreAdditionalCommandArgs"]),
    })
    .optional(),
  data: z
    .strictObject({
      compression: z.enum(dataCodecs).optional(),
      encryption: serverSideEncryption.optional(),
      jobs: z.number().int().min(1).optional(),
      immediateCheckpoint: z.boolean().optional(),
      ...kubernetesOnlyFields(["additionalCommandArgs", "restoreAdditionalCommandArgs"]),
    })
    .optional(),
  tags: tags.optional(),
  historyTags: tags.optional(),
};

/** In an ObjectStore the server name is forbidden: many clusters share one. */
const storeConfiguration = z.strictObject(storeConfigurationFields);

/** The same inside a Cluster. */
export const inTreeStore = z.strictObject({ ...storeConfigurationFields, serverName: z.string().optional() });

export const objectStore = objectOf(
  "barmancloud.cnpg.io/v1",
  "ObjectStore",
  z.strictObject({
    configuration: storeConfiguration,
    retentionPolicy: retentionPolicy.optional(),
    instanceSidecarConfiguration: z
      .strictObject({
        env: z.array(z.looseObject({ name: z.string() })).optional(),
        retentionPolicyIntervalSeconds: z.number().int().min(0).optional(),
        logLevel: z.enum(["error", "warning", "info", "debug", "trace"]).optional(),
        ...kubernetesOnlyFields(["resources", "additionalContainerArgs"]),
      })
      .optional(),
  }),
);
