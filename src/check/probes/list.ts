import { isEngineError } from "../../common/errors.ts";
import { compareKeys } from "../../storage/object-key.ts";
import type { ListEntry } from "../../storage/object-store.ts";
import { unfit, type CheckFact } from "../check-fact.ts";
import { scratchKey, type Probe, type ProbeLab } from "../lab.ts";

const topic = "list";

/** As Tidemark's own names are: ASCII, with what sorts before and after the slash. */
const plainNames = ["B", "a!b", "a+b c", "a/b", "a/c/d", "a0", "z%20"];
/** Two orders differ here: by bytes, and by the units of UTF-16. */
const otherNames = ["é", "ﬀ", "𝄞"];

/** Whether lists have everything, in the order of bytes, cut at slashes, from where they are asked to begin. */
export const probeList: Probe = async (lab) => {
  for (const name of plainNames) await writeEmpty(lab, `plain/${name}`);
  const facts = [await probePlain(lab), await probeOther(lab)].filter((fact) => fact !== undefined);
  if (facts.length > 0) return facts;
  return [
    {
      topic,
      verdict: "ok",
      text: "lists are complete and in the order of bytes, begin where they are told, and stop at slashes",
    },
  ];
};

async function probePlain(lab: ProbeLab): Promise<CheckFact | undefined> {
  const prefix = scratchKey(lab, "plain/");
  const expected = plainNames.toSorted(compareKeys);
  const wrong = (what: string) => unfit(topic, what, hint);
  if (!same(await namesBelow(lab, prefix), expected)) return wrong("a list lacks objects, or has others");
  const startAfter = `${prefix}a/b`;
  const later = expected.slice(expected.indexOf("a/b") + 1);
  if (!same(await namesBelow(lab, prefix, { startAfter }), later))
    return wrong("a list does not begin where it is told");
  const cut = ["B", "a!b", "a+b c", "a/", "a0", "z%20"];
  if (!same(await namesBelow(lab, prefix, { delimiter: "/" }), cut))
    return wrong("a list is not cut at slashes");
  return undefined;
}

const hint = "Tidemark finds backups and WAL by lists: use another store, or a newer version of its server.";

/** Nothing of ours has such names, but the path of a store's URL may. */
async function probeOther(lab: ProbeLab): Promise<CheckFact | undefined> {
  try {
    for (const name of otherNames) await writeEmpty(lab, `other/${name}`);
    if (same(await namesBelow(lab, scratchKey(lab, "other/")), otherNames.toSorted(compareKeys)))
      return undefined;
  } catch (error) {
    if (!isEngineError(error) || error.code === "aborted") throw error;
  }
  return {
    topic,
    verdict: "warn",
    text: "names beyond ASCII are not taken, or listed in another order than that of bytes",
    consequence: "Tidemark's own names are ASCII",
    hint: "Keep the path in the store's URL ASCII too.",
  };
}

async function writeEmpty(lab: ProbeLab, name: string): Promise<void> {
  await lab.store.put(scratchKey(lab, name), [], { signal: lab.signal });
}

async function namesBelow(
  { store, signal }: ProbeLab,
  prefix: string,
  options: { readonly startAfter?: string; readonly delimiter?: "/" } = {},
): Promise<readonly string[]> {
  const entries = await Array.fromAsync(store.list(prefix, { ...options, signal }));
  return entries.map((entry) => nameOf(entry).slice(prefix.length));
}

function nameOf(entry: ListEntry): string {
  return entry.kind === "object" ? entry.key : entry.prefix;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
