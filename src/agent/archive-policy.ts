import { EngineError } from "../common/errors.ts";

/** Which repositories must have a WAL file before PostgreSQL is told so: all, any so many, or these. */
export type ArchivePolicy = "all" | number | readonly string[];

/** Throws `config` when the policy cannot be met with these repositories. */
export function checkPolicy(policy: ArchivePolicy, repositories: readonly string[]): void {
  const refuse = (reason: string) => {
    throw new EngineError("config", `archive policy is not possible: ${reason}`, {
      hint: `The repositories are ${repositories.join(", ") || "none"}.`,
    });
  };
  if (repositories.length === 0) refuse("there is no repository to archive to");
  if (new Set(repositories).size < repositories.length) refuse("two repositories have the same name");
  if (policy === "all") return;
  if (typeof policy === "number") {
    if (!Number.isInteger(policy) || policy < 1) refuse(`${policy} is not a number of repositories`);
    if (policy > repositories.length)
      refuse(`it asks for ${policy} repositories, and there are ${repositories.length}`);
    return;
  }
  if (policy.length === 0) refuse("it names no repository");
  for (const name of policy) if (!repositories.includes(name)) refuse(`there is no repository "${name}"`);
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
