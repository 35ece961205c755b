import { z } from "zod";

/** What an application of manifests says of itself: the answer of `POST /tidemark/v1/apply`. */

export const findingSchema = z.object({
  /** A rule of `tidemark lint --rules`, or one of admission's own. */
  rule: z.string(),
  severity: z.enum(["error", "warning", "info"]),
  /** As whoever applied called it; `(stored)` for an object that was there already. */
  file: z.string(),
  line: z.number().int(),
  column: z.number().int(),
  object: z
    .object({
      apiVersion: z.string(),
      kind: z.string(),
      namespace: z.string().nullable(),
      name: z.string(),
    })
    .nullable(),
  field: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  /** What `tidemark lint --fix` would do. */
  fix: z.string().nullable(),
  /** Why what lint calls an error is a warning here. */
  note: z.string().nullable(),
});
export type AdmissionFinding = z.infer<typeof findingSchema>;

export const fieldChangeSchema = z.object({
  /** `spec.instances`. */
  field: z.string(),
  /** Absent where the field was not there; `[redacted]` of a Secret. */
  before: z.unknown().optional(),
  /** Absent where the field is taken away. */
  after: z.unknown().optional(),
});
export type FieldChange = z.infer<typeof fieldChangeSchema>;

export const appliedObjectSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  /** Empty for a Namespace. */
  namespace: z.string(),
  name: z.string(),
  /** Of a dry run: what it would be. `ignored` is of a kind that is not kept. */
  outcome: z.enum(["created", "configured", "unchanged", "refused", "ignored"]),
  /** Why it is refused or ignored. */
  reason: z.string().optional(),
  /** Of `configured`: what differs. */
  changes: z.array(fieldChangeSchema),
});
export type AppliedObject = z.infer<typeof appliedObjectSchema>;

export const applyResultSchema = z.object({
  /** `refused`: there are errors among the findings, and nothing was changed. */
  outcome: z.enum(["applied", "dry-run", "refused"]),
  /** In the order of the manifests; namespaces that were made come first. */
  objects: z.array(appliedObjectSchema),
  findings: z.array(findingSchema),
});
export type ApplyResult = z.infer<typeof applyResultSchema>;
