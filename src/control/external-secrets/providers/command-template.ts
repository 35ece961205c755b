import { EngineError } from "../../../common/errors.ts";
import type { SecretReference } from "../secret-provider.ts";

/** Commands with places in them for what is asked for. Nothing of it is ever read by a shell. */

const placeholderNames = ["key", "property", "version"] as const;
type Placeholder = (typeof placeholderNames)[number];

const anyPlaceholder = /\{(key|property|version)\}/g;

export function placeholdersIn(template: readonly string[]): ReadonlySet<Placeholder> {
  return new Set(placeholderNames.filter((name) => template.some((word) => word.includes(`{${name}}`))));
}

/**
 * The words of a command with values in their places; a value never becomes a word more. Throws `config` when a value is
 * missing, or could be taken for something else: for an option, or for the way to a parent directory.
 */
export function fillCommand(template: readonly string[], reference: SecretReference): readonly string[] {
  const endOfOptions = template.indexOf("--");
  return template.map((word, index) =>
    word.replaceAll(anyPlaceholder, (place, name: Placeholder, offset: number) => {
      const value = reference[name];
      if (value === undefined || value === "") {
        throw refuse(reference, `needs a ${name}`, `Write remoteRef.${name}.`);
      }
      if (value.includes("\0")) throw refuse(reference, `has a ${name} with a NUL character in it`);
      const mayBeOption = offset === 0 && (endOfOptions < 0 || index < endOfOptions);
      if (mayBeOption && value.startsWith("-")) {
        throw refuse(reference, `has a ${name} that the command would take for an option`);
      }
      const isPartOfPath = word !== place && value.split("/").includes("..");
      if (isPartOfPath) throw refuse(reference, `has a ${name} that leads to a parent directory`);
      return value;
    }),
  );
}

function refuse({ key }: SecretReference, reason: string, hint?: string): EngineError {
  const shown = key.replaceAll("\0", "\\0");
  return new EngineError("config", `secret "${shown}" ${reason}`, hint === undefined ? {} : { hint });
}
