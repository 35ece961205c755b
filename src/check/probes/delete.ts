import { unfit } from "../check-fact.ts";
import { scratchKey, type Probe } from "../lab.ts";

const topic = "delete";

/** Whether objects go when they are told to: one, several, and one that is not there. */
export const probeDelete: Probe = async (lab) => {
  const { store, signal } = lab;
  const keys = ["one", "two", "three"].map((name) => scratchKey(lab, `gone/${name}`));
  for (const key of keys) await store.put(key, [Buffer.from("x")], { signal });
  await store.delete(keys.slice(0, 1), { signal });
  await store.delete([...keys, scratchKey(lab, "gone/never-there")], { signal });
  const left = await Array.fromAsync(store.list(scratchKey(lab, "gone/"), { signal }));
  const heads = await Promise.all(keys.map(async (key) => store.head(key, { signal })));
  if (left.length > 0 || heads.some((info) => info !== undefined)) {
    const hint = "Retention would remove nothing: check for a lock or a hold on the bucket's objects.";
    return [unfit(topic, "deleted objects are still there", hint)];
  }
  if (store.capabilities.keepsVersions !== true) {
    return [
      {
        topic,
        verdict: "ok",
        text: "objects are deleted, several at once; one that is not there is no failure",
      },
    ];
  }
  return [
    {
      topic,
      verdict: "warn",
      text: "the bucket keeps versions: what is deleted is hidden, and stays as an older version",
      consequence: "Tidemark sees and deletes the newest versions alone, and restores from them",
      hint: "Give the bucket a lifecycle rule that removes older versions after some days, or they are paid for without end.",
    },
  ];
};
