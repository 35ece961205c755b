import { EngineError } from "../common/errors.ts";
import type { Resource } from "../control/resources/resource.ts";

export type ResourceFilter = (resource: Resource) => boolean;

/**
 * Kubernetes' label selectors: `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b,c)`, joined by commas. Throws
 * `usage` for anything else.
 */
export function parseLabelSelector(text: string): ResourceFilter {
  const requirements = splitOutsideParentheses(text)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(parseRequirement);
  return ({ metadata }) => requirements.every((matches) => matches(metadata.labels));
}

type Requirement = (labels: Readonly<Record<string, string>>) => boolean;

const key = String.raw`([A-Za-z0-9][-A-Za-z0-9_./]*)`;
const value = String.raw`([-A-Za-z0-9_.]*)`;
const comparison = new RegExp(`^${key}\\s*(==|=|!=)\\s*${value}$`);
const membership = new RegExp(`^${key}\\s+(in|notin)\\s*\\(([-A-Za-z0-9_.,\\s]*)\\)$`);
const existence = new RegExp(`^(!?)\\s*${key}$`);

function parseRequirement(part: string): Requirement {
  const compared = comparison.exec(part);
  if (compared !== null) {
    const [, name = "", operator = "", wanted = ""] = compared;
    return (labels) => (labels[name] === wanted) === (operator !== "!=");
  }
  const member = membership.exec(part);
  if (member !== null) {
    const [, name = "", operator = "", list = ""] = member;
    const wanted = new Set(list.split(",").map((item) => item.trim()));
    return (labels) => {
      const own = labels[name];
      return (own !== undefined && wanted.has(own)) === (operator === "in");
    };
  }
  const existing = existence.exec(part);
  if (existing !== null) {
    const [, not = "", name = ""] = existing;
    return (labels) => Object.hasOwn(labels, name) === (not === "");
  }
  throw new EngineError("usage", `"${part}" is no label selector`, {
    hint: "Write a=b, a!=b, a, !a, a in (b,c) or a notin (b,c), with commas between several.",
  });
}

function splitOutsideParentheses(text: string): readonly string[] {
  return text.split(/,(?![^(]*\))/);
}

/** `metadata.name=pg` and `metadata.namespace=prod`, joined by commas: the fields that every kind has. Throws `usage`. */
export function parseFieldSelector(text: string): ResourceFilter {
  const requirements = text
    .split(",")
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const [, field = "", operator = "", wanted = ""] =
        /^\s*(metadata\.(?:name|namespace))\s*(==|=|!=)\s*(\S*)\s*$/.exec(part) ?? [];
      if (field === "") {
        throw new EngineError("usage", `"${part}" is no field selector that is understood here`, {
          hint: "Fields are metadata.name and metadata.namespace.",
        });
      }
      return { isName: field === "metadata.name", isEqual: operator !== "!=", wanted };
    });
  return ({ metadata }) =>
    requirements.every(
      ({ isName, isEqual, wanted }) => ((isName ? metadata.name : metadata.namespace) === wanted) === isEqual,
    );
}
