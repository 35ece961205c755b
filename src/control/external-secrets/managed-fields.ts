import { z } from "zod";
import type { Resource } from "../resources/resource.ts";

/**
 * Which parts of a Secret an ExternalSecret has put there, so that it can take them back: names only. They stand on the Secret
 * itself, so that they change with it at once, for each ExternalSecret by its name, because several may write into one.
 */
const annotation = "tidemark.dev/external-secret-fields";

const fields = z.object({
  data: z.array(z.string()),
  labels: z.array(z.string()),
  annotations: z.array(z.string()),
});
export type ManagedFields = z.infer<typeof fields>;

/** By the name of the ExternalSecret. */
export type ManagedNote = Readonly<Record<string, ManagedFields>>;

const note = z.record(z.string(), fields);

export const nothingManaged: ManagedFields = { data: [], labels: [], annotations: [] };

/** Who put what there; nothing when the note cannot be read, which leaves everything to people. */
export function readManagedNote(secret: Resource | undefined): ManagedNote {
  const text = secret?.metadata.annotations[annotation];
  if (text === undefined) return {};
  try {
    return note.parse(JSON.parse(text));
  } catch {
    return {};
  }
}

/** The annotation that holds a note. */
export function managedAnnotation(written: ManagedNote): Readonly<Record<string, string>> {
  return { [annotation]: JSON.stringify(written) };
}
