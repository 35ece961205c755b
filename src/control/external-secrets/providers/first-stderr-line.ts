import { stripVTControlCharacters } from "node:util";
import type { CommandRun } from "./run-command.ts";

/**
 * What a command said first on standard error, for a message: one line of plain text, of a limited length, without what it
 * printed on standard output and without the values of variables that look like secrets, should it have repeated them.
 */
export function firstStderrLine(
  { stdout, stderr }: Pick<CommandRun, "stdout" | "stderr">,
  environment: NodeJS.ProcessEnv,
): string {
  const text = stripVTControlCharacters(stderr.toString());
  const line =
    text
      .split(/[\r\n]+/)
      .map((candidate) => candidate.replaceAll(/\p{Cc}/gu, " ").trim())
      .find((candidate) => candidate !== "") ?? "";
  const secrets = [...stdout.toString().split(/[\r\n]+/), ...secretValues(environment)]
    .map((secret) => secret.trim())
    // Shorter ones would take letters out of ordinary words.
    .filter((secret) => secret.length >= 4)
    .toSorted((a, b) => b.length - a.length);
  const redacted = secrets.reduce((result, secret) => result.replaceAll(secret, "[redacted]"), line);
  return redacted.length > maxCharacters ? `${redacted.slice(0, maxCharacters)}…` : redacted;
}

const maxCharacters = 200;

function secretValues(environment: NodeJS.ProcessEnv): readonly string[] {
  return Object.entries(environment).flatMap(([name, value]) =>
    value !== undefined && /TOKEN|SESSION|PASS|SECRET|KEY|CREDENTIAL/i.test(name) ? [value] : [],
  );
}
