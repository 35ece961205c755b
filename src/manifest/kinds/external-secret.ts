import { z } from "zod";
import { metadata } from "./common.ts";
import { goDuration } from "./values.ts";

/**
 * ExternalSecret of external-secrets.io, `v1` and `v1beta1`, whose fields are the same (External Secrets Operator 2.9). All
 * of its fields are known here; what of them is not done on one machine, `external-secret-problems.ts` says.
 */

const texts = z.record(z.string(), z.string());
const conversionStrategy = z.enum(["Default", "Unicode"]);
const decodingStrategy = z.enum(["Auto", "Base64", "Base64URL", "None"]);
const nullBytePolicy = z.enum(["Ignore", "Fail"]);

const storeReference = z.strictObject({
  name: z.string().optional(),
  kind: z.enum(["SecretStore", "ClusterSecretStore"]).optional(),
});

/** Where a value comes from that is not in a store; the fields are those of the generator. */
const generatorReference = z.looseObject({ kind: z.string(), name: z.string() });

const sourceReference = z.strictObject({
  storeRef: storeReference.optional(),
  generatorRef: generatorReference.optional(),
});

const remoteReference = z.strictObject({
  key: z.string().min(1),
  property: z.string().optional(),
  version: z.string().optional(),
  metadataPolicy: z.enum(["None", "Fetch"]).optional(),
  conversionStrategy: conversionStrategy.optional(),
  decodingStrategy: decodingStrategy.optional(),
  nullBytePolicy: nullBytePolicy.optional(),
});

const find = z.strictObject({
  path: z.string().optional(),
  name: z.strictObject({ regexp: z.string().optional() }).optional(),
  tags: texts.optional(),
  conversionStrategy: conversionStrategy.optional(),
  decodingStrategy: decodingStrategy.optional(),
  nullBytePolicy: nullBytePolicy.optional(),
});

const rewrite = z.strictObject({
  regexp: z.strictObject({ source: z.string(), target: z.string() }).optional(),
  transform: z.strictObject({ template: z.string() }).optional(),
  merge: z.looseObject({}).optional(),
});

const template = z.strictObject({
  type: z.string().optional(),
  engineVersion: z.enum(["v1", "v2"]).optional(),
  metadata: z
    .strictObject({
      labels: texts.optional(),
      annotations: texts.optional(),
      finalizers: z.array(z.string()).optional(),
    })
    .optional(),
  mergePolicy: z.enum(["Replace", "Merge"]).optional(),
  data: texts.optional(),
  templateFrom: z.array(z.looseObject({})).optional(),
});

export const externalSecretSpec = z.strictObject({
  secretStoreRef: storeReference.optional(),
  target: z
    .strictObject({
      name: z.string().min(1).optional(),
      creationPolicy: z.enum(["Owner", "Orphan", "Merge", "None", "CreateOrMerge"]).optional(),
      deletionPolicy: z.enum(["Delete", "Merge", "Retain"]).optional(),
      template: template.optional(),
      immutable: z.boolean().optional(),
      manifest: z.looseObject({}).optional(),
    })
    .optional(),
  refreshPolicy: z.enum(["CreatedOnce", "Periodic", "OnChange"]).optional(),
  /** `1h` when left out; `0` fetches once. */
  refreshInterval: goDuration.optional(),
  syncWindows: z.looseObject({}).optional(),
  data: z
    .array(
      z.strictObject({
        secretKey: z
          .string()
          .regex(/^[-._a-zA-Z0-9]{1,253}$/, "not 1 to 253 letters, digits, dots, dashes and underscores"),
        remoteRef: remoteReference,
        sourceRef: sourceReference.optional(),
      }),
    )
    .optional(),
  dataFrom: z
    .array(
      z.strictObject({
        extract: remoteReference.optional(),
        find: find.optional(),
        rewrite: z.array(rewrite).optional(),
        sourceRef: sourceReference.optional(),
      }),
    )
    .optional(),
});

export type ExternalSecretSpec = z.infer<typeof externalSecretSpec>;

export function externalSecret(version: "v1" | "v1beta1") {
  return z.strictObject({
    apiVersion: z.literal(`external-secrets.io/${version}`),
    kind: z.literal("ExternalSecret"),
    metadata,
    spec: externalSecretSpec,
    status: z.unknown().optional(),
  });
}

/** Name of the Secret that it makes. */
export function targetSecretName(name: string, spec: Pick<ExternalSecretSpec, "target">): string {
  return spec.target?.name ?? name;
}
