import { z } from "zod";
import { metadata } from "./common.ts";

/** Secret, ConfigMap and Namespace of Kubernetes' own `v1`. */

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
