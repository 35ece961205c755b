import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseManifests } from "../../manifest/parse.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { applyManifests } from "./apply-manifests.ts";
import {
  allManifests,
  backup,
  cluster,
  namespace,
  objectStore,
  saidBy,
  scheduledBackup,
  secret,
} from "./testing/manifests.ts";

/** A second version of some of them, which is applied over the first. */
const changed: readonly string[] = [
  namespace.replace("stage: production", "stage: test"),
  secret.replace("KEY:", "OTHER: x, KEY:"),
  objectStore
    .replace("retentionPolicy: 30d", "retentionPolicy: 7d")
    .replace("labels: {tier: backup}", "labels: {}"),
  cluster.replace("team: data", "owner: me").replace("instances: 1", "instances: 2"),
  scheduledBackup.replace("0 0 3", "0 30 4"),
  backup,
];

/** Cuts a list into parts at random places. */
const parts = (texts: readonly string[]): fc.Arbitrary<readonly (readonly string[])[]> =>
  fc
    .tuple(
      fc.shuffledSubarray([...texts], { minLength: texts.length }),
      fc.array(fc.boolean(), { minLength: texts.length }),
    )
    .map(([order, cuts]) => {
      const groups: string[][] = [[]];
      for (const [index, text] of order.entries()) {
        if (cuts[index] === true) groups.push([]);
        groups.at(-1)?.push(text);
      }
      return groups.filter((group) => group.length > 0);
    });

async function resultOf(applications: readonly (readonly string[])[]): Promise<unknown> {
  const resources = await temporaryResources();
  using store = await resources.open();
  for (const texts of applications) {
    const result = applyManifests({
      store,
      texts: texts.map((text, index) => ({ path: `${index}.yaml`, text })),
      defaultNamespace: "default",
    });
    expect(result.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(result.outcome).toBe("applied");
  }
  return saidBy(store);
}

test("the same manifests in any order, at once or in any parts, and again, come to the same", async () => {
  const atOnce = await resultOf([allManifests]);

  await fc.assert(
    fc.asyncProperty(parts(allManifests), fc.boolean(), async (groups, isTwice) => {
      expect(await resultOf(isTwice ? [...groups, ...groups.toReversed()] : groups)).toEqual(atOnce);
    }),
    { numRuns: 30 },
  );
});

test("so do changes of what is there already", async () => {
  const atOnce = await resultOf([allManifests, changed]);

  await fc.assert(
    fc.asyncProperty(parts(allManifests), parts(changed), async (first, second) => {
      expect(await resultOf([...first, ...second])).toEqual(atOnce);
    }),
    { numRuns: 30 },
  );
});

const root = join(import.meta.dirname, "../../..");
const files = (await Promise.all(["test/lint", "examples"].map(yamlBelow))).flat();

async function yamlBelow(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(root, folder), { recursive: true });
  return names
    .filter((name) => name.endsWith(".yaml") && !name.endsWith("bad.yaml"))
    .map((name) => join(folder, name));
}

test.each(files)("%s comes to the same one object at a time, forwards and backwards", async (file) => {
  const text = await readFile(join(root, file), "utf8");
  const objects = parseManifests([{ path: file, text }]).objects.map(({ value }) => JSON.stringify(value));
  const single = objects.map((object) => [object]);

  const atOnce = await resultOf([[text]]);

  expect(await resultOf(single)).toEqual(atOnce);
  expect(await resultOf(single.toReversed())).toEqual(atOnce);
});
