import { z } from "zod";

/** What a field is to us beyond its type. */
export interface FieldFacts {
  /** It means something on Kubernetes only: accepted, and said once. */
  readonly kubernetesOnly?: true;
  /** Its own project is about to take it away; the text says what to use instead. */
  readonly deprecated?: string;
}

export const fieldFacts = z.registry<FieldFacts>();

/** A field of any form that has no meaning on one machine. */
export const kubernetesOnly = z.unknown().register(fieldFacts, { kubernetesOnly: true });

/** Fields of this kind, all optional. */
export function kubernetesOnlyFields<Name extends string>(
  names: readonly Name[],
): Record<Name, z.ZodOptional<z.ZodUnknown>> {
  return Object.fromEntries(names.map((name) => [name, kubernetesOnly.optional()])) as Record<
    Name,
    z.ZodOptional<z.ZodUnknown>
  >;
}

/** What a schema is behind `optional`, `nullable` and `default`. */
export function innerSchema(schema: z.core.$ZodType): z.core.$ZodType {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodNullable || at instanceof z.ZodDefault) {
    at = at.unwrap();
  }
  return at;
}

export function factsOf(schema: z.core.$ZodType): FieldFacts {
  return fieldFacts.get(schema as z.ZodType) ?? fieldFacts.get(innerSchema(schema) as z.ZodType) ?? {};
}
