import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { knownKinds } from "../../manifest/kinds/registry.ts";
import { nearest } from "../../manifest/nearest.ts";
import { formatJson } from "../output.ts";

/** `tidemark schema`: JSON Schema (2020-12) of one kind, or of all of them for editors that take one for every file. */
export function run(kind: string | undefined): void {
  const kinds = kind === undefined ? knownKinds : knownKinds.filter((known) => known.kind === kind);
  if (kinds.length === 0) throw unknownKind(kind ?? "");
  // `io: input` leaves out what only parsing would add.
  const schemas = kinds.map(({ schema }) => z.toJSONSchema(schema, { io: "input" }));
  const [only] = schemas;
  process.stdout.write(formatJson(schemas.length === 1 ? only : { anyOf: schemas.map(withoutDialect) }));
}

/** Said once, at the top. */
function withoutDialect(schema: z.core.JSONSchema.BaseSchema): object {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== "$schema"));
}

function unknownKind(kind: string): EngineError {
  const names = [...new Set(knownKinds.map((known) => known.kind))];
  const near = nearest(kind, names);
  return new EngineError("usage", `there is no kind "${kind}"`, {
    hint: near === undefined ? `There are ${names.join(", ")}.` : `Did you mean "${near}"?`,
  });
}
