import type { ObjectHeaders } from "../../storage/s3/s3-objects.ts";
import { unfit, type CheckFact } from "../check-fact.ts";
import type { Probe, ProbeLab } from "../lab.ts";

const topic = "settings";

/** Objects of each kind that settings tell apart. */
const kinds = [
  { what: "base backups", path: "base/probe" },
  { what: "WAL", path: "wals/probe" },
  { what: "history files", path: "wals/00000002.history" },
];

/** Whether the store takes what the settings ask of it, and says so of the object. `asked` by key, as for every write. */
export function settingsProbe(asked: (key: string) => ObjectHeaders): Probe {
  return async (lab) => {
    const facts: CheckFact[] = [];
    for (const { what, path } of kinds) {
      const key = `${lab.prefix}/${path}`;
      const headers = asked(key);
      if (Object.keys(headers).length === 0) continue;
      await lab.store.put(key, [Buffer.from("settings")], { signal: lab.signal });
      facts.push(await describeStored(lab, what, key, headers));
    }
    return facts;
  };
}

async function describeStored(
  lab: ProbeLab,
  what: string,
  key: string,
  asked: ObjectHeaders,
): Promise<CheckFact> {
  const stored = (await lab.store.head(key, { signal: lab.signal }))?.storedAs ?? {};
  const { ServerSideEncryption: encryption, StorageClass: storageClass, Tagging: tags } = asked;
  const isOtherClass =
    storageClass !== undefined && storageClass !== "STANDARD" && stored.storageClass !== storageClass;
  if (isOtherClass) {
    const has = stored.storageClass ?? "the usual class";
    return unfit(
      topic,
      `${what}: storage class ${storageClass} was asked for, and the object is in ${has}`,
      "Leave storageClass out for this store.",
    );
  }
  const words = [
    ...(encryption === undefined ? [] : [`encryption with ${encryption}`]),
    ...(storageClass === undefined ? [] : [`storage class ${storageClass}`]),
    ...(tags === undefined ? [] : ["tags"]),
  ].join(", ");
  if (
    encryption !== undefined &&
    stored.encryption === undefined &&
    lab.store.capabilities.encryptsAlways !== true
  ) {
    return {
      topic,
      verdict: "warn",
      text: `${what}: ${words} were taken, but the store does not say that the object is encrypted`,
      hint: "Older servers pass over the request: see whether this one encrypts, or let Tidemark encrypt.",
    };
  }
  return { topic, verdict: "ok", text: `${what}: the store takes ${words}` };
}
