import { EngineError } from "../common/errors.ts";

/** Which repositories must have a WAL file before PostgreSQL is told so: all, any so many, or these. */
export type ArchivePolicy = "all" | number | readonly string[];

/**
 * Reads a policy as people write it: `all`, `any` (which is 1), a number, or names with commas between. Whether there are
 * such repositories is not looked at.
 */
export function parseArchivePolicy(text: string): ArchivePolicy {
  const word = text.trim();
  if (word === "all") return "all";
  if (word === "any") return 1;
  if (/^\d+$/.test(word)) return Number(word);
  return word
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Why the policy cannot be met with these repositories; undefined when it can. */
export function policyProblem(policy: ArchivePolicy, repositories: readonly string[]): string | undefined {
  if (repositories.length === 0) return "there is no repository to archive to";
  if (policy === "all") return undefined;
  if (typeof policy === "number") {
    if (!Number.isInteger(policy) || policy < 1) return `${policy} is not a number of repositories`;
    if (policy > repositories.length)
      return `it asks for ${policy} repositories, and there are ${repositories.length}`;
    return undefined;
  }
  if (policy.length === 0) return "it names no repository";
  const unknown = policy.find((name) => !repositories.includes(name));
  return unknown === undefined ? undefined : `there is no repository "${unknown}"`;
}

/** Throws `config` when the policy cannot be met with these repositories. */
export function checkPolicy(policy: ArchivePolicy, repositories: readonly string[]): void {
  const isTwice = new Set(repositories).size < repositories.length;
  const problem = isTwice ? "two repositories have the same name" : policyProblem(policy, repositories);
  if (problem === undefined) return;
  throw new EngineError("config", `archive policy is not possible: ${problem}`, {
    hint: `The repositories are ${repositories.join(", ") || "none"}.`,
  });
}

/** Whether a file that is in `done` may be acknowledged. */
export function isPolicyMet(
  policy: ArchivePolicy,
  repositories: readonly string[],
  done: ReadonlySet<string>,
): boolean {
  if (policy === "all") return repositories.every((name) => done.has(name));
  if (typeof policy === "number") return done.size >= policy;
  return policy.every((name) => done.has(name));
}
