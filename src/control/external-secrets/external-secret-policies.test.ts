import { rm } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { draftOf, type Resource } from "../resources/resource.ts";
import { statusOf } from "./external-secret-status.ts";
import { bench, both, draft, key, secretKey } from "./testing/external-secret-bench.ts";
import { writeSecretFile } from "./testing/secret-folder.ts";

const anySpec = fc.record(
  {
    refreshInterval: fc.constantFrom("0", "1h"),
    refreshPolicy: fc.constantFrom("CreatedOnce", "Periodic", "OnChange"),
    target: fc.record(
      {
        name: fc.constantFrom("shared", "own"),
        creationPolicy: fc.constantFrom("Owner", "Orphan", "Merge", "CreateOrMerge", "None"),
        deletionPolicy: fc.constantFrom("Delete", "Merge", "Retain"),
        immutable: fc.boolean(),
        template: fc.record(
          {
            mergePolicy: fc.constantFrom("Replace", "Merge"),
            data: fc.dictionary(fc.constantFrom("id", "x"), fc.constantFrom("{{ .id }}", "{{ .no }}", "t")),
            metadata: fc.record({ labels: fc.constantFrom({}, { a: "{{ .id }}" }) }),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    ),
    data: fc.uniqueArray(
      fc.record({
        secretKey: fc.constantFrom("id", "key"),
        remoteRef: fc.constantFrom({ key: "one" }, { key: "absent" }),
      }),
      { selector: ({ secretKey }) => secretKey, maxLength: 2 },
    ),
    dataFrom: fc.array(fc.constantFrom({ extract: { key: "r2" } }, { find: { name: { regexp: "^o" } } }), {
      maxLength: 1,
    }),
  },
  { requiredKeys: [] },
);

test("whatever several of them say of one Secret, they come to rest: nothing is written for ever", async () => {
  const { store, reconcile } = await bench({ r2: '{"id": "AKIA", "key": "s3cret"}', one: "1" });
  const names = ["a", "b", "c"];
  await fc.assert(
    fc.asyncProperty(
      fc.array(anySpec, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (specs, isThere) => {
        for (const { metadata } of store.list())
          store.delete({ kind: "ExternalSecret", namespace: "shop", name: metadata.name });
        for (const { metadata } of store.list({ kind: "Secret" }))
          store.delete({ ...secretKey, name: metadata.name });
        if (isThere) {
          store.create({
            apiVersion: "v1",
            kind: "Secret",
            namespace: "shop",
            name: "shared",
            content: { data: { id: "eA==" } },
          });
        }
        for (const [index, spec] of specs.entries()) store.create(draft(spec, { name: names[index] ?? "" }));
        const round = async () => {
          for (const name of names) await reconcile({ ...key, name }).catch(() => undefined);
        };

        await round();
        await round();
        const version = store.version;
        await round();

        expect(store.version).toBe(version);
      },
    ),
    { numRuns: 150 },
  );
});

describe("creation policies", () => {
  test("Merge adds to a Secret of somebody else's, and takes back what it added", async () => {
    const { store, reconcile, values, secret } = await bench();
    store.create({
      apiVersion: "v1",
      kind: "Secret",
      namespace: "shop",
      name: "r2",
      content: { type: "Opaque", data: { region: "YXV0bw==" } },
    });
    store.create(draft({ data: both, target: { creationPolicy: "Merge" } }));
    await reconcile();
    expect(values()).toEqual({ region: "auto", id: "AKIA", key: "s3cret" });
    expect(secret()?.metadata.ownerReferences).toEqual([]);

    store.update(draft({ data: both.slice(0, 1), target: { creationPolicy: "Merge" } }));
    await reconcile();
    expect(values()).toEqual({ region: "auto", id: "AKIA" });

    store.delete(key);
    expect(values()).toEqual({ region: "auto", id: "AKIA" });
  });

  test("Merge waits for a Secret that is not there, without going round", async () => {
    const { store, reconcile, secret, ready } = await bench();
    store.create(draft({ data: both, target: { creationPolicy: "Merge" } }));

    expect(await reconcile()).toEqual({ afterMs: 3_600_000 });
    expect(await reconcile()).toEqual({ afterMs: 3_600_000 });

    expect(secret()).toBeUndefined();
    expect(ready()).toBe("Ready True SecretMissing: secret will not be created due to CreationPolicy=Merge");
    store.create({ apiVersion: "v1", kind: "Secret", namespace: "shop", name: "r2", content: {} });
    await reconcile();
    expect(ready()).toBe("Ready True SecretSynced: secret synced");
  });

  test("Orphan leaves the Secret behind, CreateOrMerge also what others put there, None makes nothing", async () => {
    const { store, reconcile, values, secret } = await bench();
    store.create(draft({ data: both, target: { creationPolicy: "Orphan" } }));
    await reconcile();
    store.delete(key);
    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });

    const orphan = secret() as Resource;
    store.update({ ...draftOf(orphan), content: { type: "Opaque", data: { mine: "eA==" } } });
    store.create(draft({ data: both, target: { creationPolicy: "CreateOrMerge" } }));
    await reconcile();
    expect(values()).toEqual({ mine: "x", id: "AKIA", key: "s3cret" });

    store.create(draft({ data: both, target: { creationPolicy: "None" } }, { name: "none" }));
    await reconcile({ ...key, name: "none" });
    expect(secret("none")).toBeUndefined();
  });

  test("a policy that changes takes the ownership with it, and a new name the old Secret", async () => {
    const { store, reconcile, secret, events } = await bench();
    store.create(draft({ data: both }));
    await reconcile();

    store.update(draft({ data: both, target: { creationPolicy: "Orphan" } }));
    await reconcile();
    expect(secret()?.metadata.ownerReferences).toEqual([]);
    expect(secret()?.metadata.labels).not.toHaveProperty(["reconcile.external-secrets.io/created-by"]);

    store.update(draft({ data: both }));
    await reconcile();
    store.update(draft({ data: both, target: { name: "renamed" } }));
    await reconcile();
    expect([secret(), secret("renamed")?.metadata.name]).toEqual([undefined, "renamed"]);
    expect(events()).toContain("Normal Deleted: secret deleted because it was orphaned");
  });

  test("of two that own one Secret the second is told so, until the first is gone", async () => {
    const { store, reconcile, values } = await bench();
    store.create(draft({ data: both, target: { name: "r2" } }, { name: "first" }));
    await reconcile({ ...key, name: "first" });
    store.create(draft({ data: both.slice(0, 1) }));

    expect(await reconcile()).toBe("never");

    const [condition] = statusOf(store.require(key)).conditions ?? [];
    expect(condition).toMatchObject({
      status: "False",
      message: "target is owned by another ExternalSecret",
    });
    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });
    store.delete({ ...key, name: "first" });
    await reconcile();
    expect(values()).toEqual({ id: "AKIA" });
  });

  test("two may merge into one Secret, but not write one key: that would go on for ever", async () => {
    const { store, reconcile, values } = await bench();
    const merge = { name: "r2", creationPolicy: "CreateOrMerge" };
    const other = { ...key, name: "other" };
    store.create(draft({ data: both.slice(0, 1), target: merge }));
    store.create(draft({ data: both.slice(1), target: merge }, { name: "other" }));
    for (const which of [key, other, key, other]) await reconcile(which);
    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });
    const { generation } = store.require(secretKey).metadata;
    for (const which of [key, other, key, other]) await reconcile(which);
    expect(store.require(secretKey).metadata.generation).toBe(generation);

    store.update(draft({ data: both, target: merge }, { name: "other" }));
    expect(await reconcile(other)).toEqual({ afterMs: 60_000 });
    expect(store.events({ about: other }).at(-1)?.message).toBe(
      'key "id" of secret r2 is written by ExternalSecret "r2" already',
    );

    store.delete(key);
    await reconcile(other);
    expect(statusOf(store.require(other)).conditions).toMatchObject([{ status: "True" }]);
  });

  test("an immutable Secret is written once", async () => {
    const { store, folder, clock, reconcile, values, secret, ready } = await bench();
    store.create(draft({ data: both, target: { immutable: true }, refreshInterval: "1m" }));
    await reconcile();
    expect(secret()?.content["immutable"]).toBe(true);
    await writeSecretFile(folder, "r2", '{"id": "new", "key": "new"}');
    await clock.advance(60_000);
    await reconcile();
    expect([values(), ready()]).toEqual([
      { id: "AKIA", key: "s3cret" },
      "Ready True SecretSynced: secret synced",
    ]);

    store.update(draft({ data: both }));
    expect(await reconcile()).toBe("never");
    expect(ready()).toBe("Ready False SecretSyncedError: could not update secret, target is immutable");
  });
});

describe("deletion policies, when the source has the secret no more", () => {
  test("Retain keeps the Secret, and says that it failed", async () => {
    const { store, folder, clock, reconcile, values, ready, events } = await bench();
    store.create(draft({ data: both, refreshInterval: "1m" }));
    await reconcile();
    await rm(join(folder, "r2"));
    await clock.advance(60_000);

    await expect(reconcile()).rejects.toMatchObject({ code: "secret-unavailable" });

    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });
    expect(ready()).toBe("Ready False SecretSyncedError: could not get secret data from provider");
    expect(events().at(-1)).toBe(
      `Warning UpdateFailed: error processing spec.data[0] (key: r2): there is no property "id" of "r2" in directory "${folder}"`,
    );
    await writeSecretFile(folder, "r2", '{"id": "AKIA", "key": "back"}');
    await reconcile();
    expect([values(), ready()]).toEqual([
      { id: "AKIA", key: "back" },
      "Ready True SecretSynced: secret synced",
    ]);
  });

  test("Delete deletes it, once, and makes it again when the source has it again", async () => {
    const { store, folder, clock, reconcile, secret, ready, events } = await bench();
    store.create(draft({ data: both, refreshInterval: "1m", target: { deletionPolicy: "Delete" } }));
    await reconcile();
    await rm(join(folder, "r2"));
    await clock.advance(60_000);

    expect(await reconcile()).toEqual({ afterMs: 60_000 });
    expect(await reconcile()).toEqual({ afterMs: 60_000 });

    expect(secret()).toBeUndefined();
    expect(ready()).toBe("Ready True SecretDeleted: secret deleted due to DeletionPolicy=Delete");
    expect(events()).toContain(
      "Normal MissingProviderSecret: secret does not exist at provider using spec.data[0] (key: r2)",
    );
    await writeSecretFile(folder, "r2", '{"id": "a", "key": "b"}');
    await clock.advance(60_000);
    await reconcile();
    expect(secret()).toBeDefined();
  });

  test("Delete leaves alone what is not its own", async () => {
    const { store, reconcile, secret, ready } = await bench({});
    store.create({ apiVersion: "v1", kind: "Secret", namespace: "shop", name: "r2", content: { data: {} } });
    store.create(draft({ data: both, target: { deletionPolicy: "Delete" } }));

    expect(await reconcile()).toBe("never");

    expect(secret()).toBeDefined();
    expect(ready()).toBe("Ready False SecretSyncedError: could not delete secret");
  });

  test("Merge takes the keys away that are gone", async () => {
    const { store, folder, clock, reconcile, values } = await bench();
    store.create(draft({ data: both, refreshInterval: "1m", target: { deletionPolicy: "Merge" } }));
    await reconcile();
    await writeSecretFile(folder, "r2", '{"id": "AKIA"}');
    await clock.advance(60_000);
    await reconcile();

    expect(values()).toEqual({ id: "AKIA" });
  });
});
