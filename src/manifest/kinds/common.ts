import { z } from "zod";

/** Metadata of every object. The server's own fields are accepted, because people apply what they got. */
export const metadata = z.strictObject({
  name: z.string().optional(),
  generateName: z.string().optional(),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).nullable().optional(),
  annotations: z.record(z.string(), z.string()).nullable().optional(),
  finalizers: z.array(z.string()).nullable().optional(),
  ownerReferences: z.array(z.looseObject({})).nullable().optional(),
  creationTimestamp: z.unknown().optional(),
  deletionGracePeriodSeconds: z.unknown().optional(),
  deletionTimestamp: z.unknown().optional(),
  generation: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  resourceVersion: z.unknown().optional(),
  selfLink: z.unknown().optional(),
  uid: z.unknown().optional(),
});

/** A whole object around its `spec`. Status is the server's to write: what is given of it is not looked at. */
export function objectOf<Spec extends z.ZodType>(apiVersion: string, kind: string, spec: Spec) {
  return z.strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal(kind),
    metadata,
    spec,
    status: z.unknown().optional(),
  });
}

/** One value of a Secret or ConfigMap in the object's own namespace. */
export const keySelector = z.strictObject({ name: z.string(), key: z.string() });

export const localReference = z.strictObject({ name: z.string() });

/** `30d`, `4w`, `6m`: of everything that CloudNativePG's own pattern allows. */
export const retentionPolicy = z.string().regex(/^[1-9][0-9]*[dwm]$/, "not a valid retention policy");

/** Which instance a base backup is taken from. */
export const backupTarget = z.enum(["primary", "prefer-standby"]);

/** Who takes a base backup. */
export const backupMethod = z.enum(["barmanObjectStore", "volumeSnapshot", "plugin"]);

/** As much of a Kubernetes quantity as sizes of volumes use. */
export const quantity = z.union([
  z
    .string()
    .regex(/^\+?(\d+\.?\d*|\.\d+)(m|k|[KMGTPE]i|[MGTPE]|[eE][+-]?\d+)?$/, "not a quantity such as 10Gi"),
  z.number().nonnegative(),
]);
