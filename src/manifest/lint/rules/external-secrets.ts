import { externalSecretProblems, type ExternalSecretProblem } from "../../external-secret-problems.ts";
import { externalSecretSpec } from "../../kinds/external-secret.ts";
import type { FieldPath, ManifestObject } from "../../manifest-object.ts";
import type { Rule } from "../rule.ts";
import { formatPath } from "../../manifest-object.ts";
import type { World } from "../world.ts";

/** ExternalSecrets: whether they can make their Secret, as far as the manifest says. */

interface Found extends ExternalSecretProblem {
  readonly object: ManifestObject;
}

/** Of those whose fields have the right form; the others' are said by the rules about fields. */
function problems(world: World, kind: ExternalSecretProblem["kind"]): readonly Found[] {
  return world.ofKind("ExternalSecret").flatMap((object) => {
    const spec = externalSecretSpec.safeParse(object.value["spec"]);
    if (!spec.success) return [];
    return externalSecretProblems(spec.data)
      .filter((problem) => problem.kind === kind)
      .map((problem) => ({ ...problem, object }));
  });
}

const invalid: Rule = {
  id: "bad-external-secret",
  severity: "error",
  summary: "an ExternalSecret that is refused",
  explanation:
    "External Secrets Operator refuses an ExternalSecret with neither data nor dataFrom, with two values for one key, with extract and find in one entry of dataFrom, or with a deletionPolicy that does not fit its creationPolicy.",
  *check(world) {
    for (const { object, path, message } of problems(world, "invalid")) yield { object, path, message };
  },
};

const unsupported: Rule = {
  id: "external-secret-features",
  severity: "warning",
  summary: "an ExternalSecret that asks for more than is done here",
  explanation:
    "Here an ExternalSecret is resolved from a directory, the environment or a command of this machine. Templates know `{{ .key }}` and nothing else, keys are rewritten by regexp only, and generators, tags, metadata, windows and other targets than Secrets are not there. On Kubernetes such an object works; here its condition Ready is False, and its Secret is not made, because half of what it asks for would be a wrong Secret.",
  *check(world) {
    for (const { object, path, message } of problems(world, "unsupported")) {
      yield { object, path, message: withPlace(path, message) };
    }
  },
};

function withPlace(path: FieldPath, message: string): string {
  return `${formatPath(path)}: ${message}, so the Secret is not made`;
}

export const externalSecretRules: readonly Rule[] = [invalid, unsupported];
