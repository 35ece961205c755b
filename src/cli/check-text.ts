import type { CheckFact } from "../check/check-fact.ts";

/** A fact as a line; a hint stands below it. */
export function formatFact({ verdict, topic, text, consequence, hint }: CheckFact): string {
  const rest = consequence === undefined ? "" : `; ${consequence}`;
  const line = `${verdict.toUpperCase().padEnd(4)}  ${topic.padEnd(11)}  ${text}${rest}\n`;
  return hint === undefined ? line : `${line}${" ".repeat(19)}${hint}\n`;
}
