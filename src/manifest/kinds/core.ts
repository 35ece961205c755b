import { z } from "zod";
import { metadata } from "./common.ts";

/** Secret, ConfigMap and Namespace of Kubernetes' own `v1`, and the ExternalSecret that makes a Secret. */

const texts = z.record(z.string(), z.string());

/** Base 64 with padding. Line breaks in it are skipped, as Go does. */
const encoded = z.string().refine((text) => {
  const plain = text.replaceAll(/[\r\n]/g, "");
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain);
}, "not base 64");

const head = (kind: string) => ({ apiVersion: z.literal("v1"), kind: z.literal(kind), metadata });

export const secret = z.strictObject({
  ...head("Secret"),
  type: z.string().optional(),
  immutable: z.boolean().optional(),
  data: z.record(z.string(), encoded).nullable().optional(),
  stringData: texts.nullable().optional(),
});

export const configMap = z.strictObject({
  ...head("ConfigMap"),
  immutable: z.boolean().optional(),
  data: texts.nullable().optional(),
  binaryData: z.record(z.string(), encoded).nullable().optional(),
});

export const namespace = z.strictObject({
  ...head("Namespace"),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
});

/** external-secrets.io, `v1` and `v1beta1`: as much as says which Secret will be there, with which keys. */
export function externalSecret(version: "v1" | "v1beta1") {
  const remote = z.looseObject({ key: z.string() });
  return z.strictObject({
    apiVersion: z.literal(`external-secrets.io/${version}`),
    kind: z.literal("ExternalSecret"),
    metadata,
    spec: z.looseObject({
      secretStoreRef: z.looseObject({ name: z.string() }).optional(),
      target: z.looseObject({ name: z.string().optional() }).optional(),
      data: z.array(z.looseObject({ secretKey: z.string(), remoteRef: remote })).optional(),
      dataFrom: z.array(z.looseObject({})).optional(),
    }),
    status: z.unknown().optional(),
  });
}
