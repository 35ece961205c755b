import { EngineError } from "../../common/errors.ts";
import { parseSecretTemplate } from "../../manifest/secret-template.ts";
import type { SecretValues } from "./secret-keys.ts";

/**
 * A template with the values in their places, byte for byte. `name` is the template's own, for messages. Throws `manifest`
 * for a template that is not understood, `secret-unavailable` for a value that was not fetched.
 */
export function renderTemplate(name: string, template: string, values: SecretValues): Uint8Array {
  const parsed = parseSecretTemplate(template);
  if ("error" in parsed) throw new EngineError("manifest", `template "${name}": ${parsed.error}`);
  return Buffer.concat(
    parsed.parts.map((part) => {
      if (part.kind === "text") return Buffer.from(part.text);
      const value = values.get(part.key);
      if (value !== undefined) return value;
      throw new EngineError(
        "secret-unavailable",
        `template "${name}" uses "${part.key}", and there is no such value`,
        {
          hint: `The values are ${[...values.keys()].map((key) => `"${key}"`).join(", ") || "none"}.`,
        },
      );
    }),
  );
}
