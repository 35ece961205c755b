import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../common/clock.ts";
import { createLog } from "../../common/log.ts";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import type { Again } from "../loop/reconciler.ts";
import { runReconcilers } from "../loop/run-reconcilers.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { draftOf, keyOf, type Resource, type ResourceDraft } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { createExternalSecretReconciler } from "./external-secret-reconciler.ts";
import { statusOf } from "./external-secret-status.ts";
import { createSecretProviders, secretProviderSettings } from "./provider-settings.ts";
import type { SecretProviders } from "./secret-provider.ts";
import { folderWith, neverAborted, scriptIn, writeSecretFile } from "./testing/secret-folder.ts";

const key = { kind: "ExternalSecret", namespace: "shop", name: "r2" };
const secretKey = { kind: "Secret", namespace: "shop", name: "r2" };
const both = [
  { secretKey: "id", remoteRef: { key: "r2", property: "id" } },
  { secretKey: "key", remoteRef: { key: "r2", property: "key" } },
];

function draft(spec: Readonly<Record<string, unknown>>, more: Partial<ResourceDraft> = {}): ResourceDraft {
  return {
    apiVersion: "external-secrets.io/v1",
    kind: "ExternalSecret",
    namespace: "shop",
    name: "r2",
    content: { spec },
    ...more,
  };
}

interface Bench {
  readonly store: ResourceStore;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly providers: SecretProviders;
  /** Until it says when it wants to look again. */
  reconcile(which?: typeof key): Promise<Again>;
  secret(name?: string): Resource | undefined;
  /** Decoded. */
  values(name?: string): Readonly<Record<string, string>> | undefined;
  ready(): string | undefined;
  events(): readonly string[];
}

/** A real store, and a directory as the source of every value. */
async function bench(
  files: Readonly<Record<string, string>> = { r2: '{"id": "AKIA", "key": "s3cret"}' },
): Promise<Bench> {
  const resources = await temporaryResources();
  const clock = new ManualClock();
  const store = await resources.open(clock);
  const folder = await folderWith(files);
  const providers = createSecretProviders(
    secretProviderSettings.parse({
      stores: {
        files: { kind: "directory", path: folder },
        script: { kind: "command", command: ["{key}"] },
      },
      default: "files",
    }),
    { directory: folder, environment: { PATH: process.env["PATH"] } },
  );
  const reconciler = createExternalSecretReconciler({ store, providers, clock, signal: neverAborted });
  const get = (name = "r2") => store.get({ ...secretKey, name });
  return {
    store,
    clock,
    folder,
    providers,
    reconcile: async (which = key) => {
      for (;;) {
        const again = await reconciler.reconcile(which, neverAborted);
        if (again === "never" || again.afterMs > 500) return again;
      }
    },
    secret: get,
    values: (name) => {
      const data = get(name)?.content["data"];
      if (data === undefined) return undefined;
      return Object.fromEntries(
        Object.entries(data as Readonly<Record<string, string>>).map(([name, value]) => [
          name,
          Buffer.from(value, "base64").toString(),
        ]),
      );
    },
    ready: () => {
      const object = store.get(key);
      const [condition] = (object && statusOf(object).conditions) ?? [];
      return condition && `${condition.type} ${condition.status} ${condition.reason}: ${condition.message}`;
    },
    events: () =>
      store.events({ about: key }).map(({ type, reason, message }) => `${type} ${reason}: ${message}`),
  };
}

describe("a Secret is made of what the source holds", () => {
  test("and is the ExternalSecret's own, with its labels", async () => {
    const { store, reconcile, secret, values, ready, events, clock } = await bench();
    const external = store.create(
      draft(
        { data: both },
        { labels: { app: "shop" }, annotations: { note: "a", "tidemark.dev/last-applied": "{}" } },
      ),
    );

    expect(await reconcile()).toEqual({ afterMs: 3_600_000 });

    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });
    expect(secret()?.content["type"]).toBe("Opaque");
    expect(secret()?.metadata.ownerReferences).toEqual([
      {
        apiVersion: "external-secrets.io/v1",
        kind: "ExternalSecret",
        name: "r2",
        uid: external.metadata.uid,
      },
    ]);
    expect(secret()?.metadata.labels).toMatchObject({
      app: "shop",
      "reconcile.external-secrets.io/managed": "true",
      "reconcile.external-secrets.io/created-by": expect.stringMatching(/^[0-9a-f]{56}$/) as string,
    });
    expect(secret()?.metadata.annotations).toMatchObject({ note: "a" });
    expect(secret()?.metadata.annotations).not.toHaveProperty(["tidemark.dev/last-applied"]);
    expect(ready()).toBe("Ready True SecretSynced: secret synced");
    expect(events()).toEqual(["Normal Created: secret created"]);
    expect(statusOf(store.require(key))).toMatchObject({
      refreshTime: clock.now().toISOString().replace(".000", ""),
      syncedResourceVersion: expect.stringMatching(/^1-[0-9a-f]{56}$/) as string,
      binding: { name: "r2" },
    });
  });

  test("and goes with it", async () => {
    const { store, reconcile, secret } = await bench();
    store.create(draft({ data: both }));
    await reconcile();

    store.delete(key);

    expect(await reconcile()).toBe("never");
    expect(secret()).toBeUndefined();
  });

  test("under another name, from all fields of a secret, with data on top", async () => {
    const { store, reconcile, values, secret } = await bench({ db: '{"user": "shop", "a/b": 1}', own: "x" });
    store.create(
      draft({
        target: { name: "shop-db" },
        dataFrom: [{ extract: { key: "db" } }],
        data: [{ secretKey: "user", remoteRef: { key: "own" } }],
      }),
    );

    await reconcile();

    expect(values("shop-db")).toEqual({ user: "x", a_b: "1" });
    expect(secret("r2")).toBeUndefined();
  });

  test("found by name, with keys rewritten", async () => {
    const { store, reconcile, values } = await bench({
      "db-user": "shop",
      "db-password": "s3cret",
      other: "x",
    });
    store.create(
      draft({
        dataFrom: [
          {
            find: { name: { regexp: "^db-" } },
            rewrite: [{ regexp: { source: "^db-(.*)$", target: "$1" } }],
          },
        ],
      }),
    );

    await reconcile();

    expect(values()).toEqual({ user: "shop", password: "s3cret" });
  });

  test("by a template, which may be of a type and have metadata of its own", async () => {
    const { store, reconcile, values, secret } = await bench();
    const template = {
      type: "kubernetes.io/basic-auth",
      metadata: { labels: { "cnpg.io/reload": "true" }, annotations: { for: "{{ .id }}" } },
      data: { username: "{{ .id }}", url: "s3://{{ .id }}:{{ .key }}@host" },
    };
    store.create(draft({ data: both, target: { template } }, { labels: { app: "shop" } }));
    await reconcile();

    expect(values()).toEqual({ username: "AKIA", url: "s3://AKIA:s3cret@host" });
    expect(secret()?.content["type"]).toBe("kubernetes.io/basic-auth");
    expect(secret()?.metadata.labels).toMatchObject({ "cnpg.io/reload": "true" });
    expect(secret()?.metadata.labels).not.toHaveProperty("app");
    expect(secret()?.metadata.annotations).toMatchObject({ for: "AKIA" });

    store.update(
      draft({ data: both, target: { template: { data: { x: "{{ .id }}" }, mergePolicy: "Merge" } } }),
    );
    await reconcile();

    expect(values()).toEqual({ id: "AKIA", key: "s3cret", x: "AKIA" });
    expect(secret()?.metadata.labels).not.toHaveProperty(["cnpg.io/reload"]);
    expect(secret()?.metadata.annotations).not.toHaveProperty("for");
  });
});

describe("it is refreshed", () => {
  test("when its interval has passed, and written only when a value is another", async () => {
    const { store, folder, clock, reconcile, values, secret, events } = await bench();
    store.create(draft({ data: both, refreshInterval: "15m" }));
    await reconcile();
    const first = secret()?.metadata.resourceVersion;

    await clock.advance(15 * 60_000);
    expect(await reconcile()).toEqual({ afterMs: 15 * 60_000 });
    expect(secret()?.metadata.resourceVersion).toBe(first);

    await writeSecretFile(folder, "r2", '{"id": "AKIA", "key": "rotated"}');
    await clock.advance(60_000);
    expect(await reconcile()).toEqual({ afterMs: 14 * 60_000 });
    expect(values()).toMatchObject({ key: "s3cret" });

    await clock.advance(14 * 60_000);
    await reconcile();
    expect(values()).toMatchObject({ key: "rotated" });
    expect(events()).toEqual(["Normal Created: secret created", "Normal Updated: secret updated"]);
  });

  test("when the object changes, or is asked to by an annotation", async () => {
    const { store, folder, reconcile, values } = await bench();
    store.create(draft({ data: both }));
    await reconcile();
    await writeSecretFile(folder, "r2", '{"id": "AKIB", "key": "b"}');

    store.update({ ...draftOf(store.require(key)), annotations: { "external-secrets.io/force-sync": "1" } });
    await reconcile();

    expect(values()).toEqual({ id: "AKIB", key: "b" });
  });

  test("once, with the interval 0, and even then brought back when it is deleted", async () => {
    const { store, folder, clock, reconcile, values } = await bench();
    store.create(draft({ data: both, refreshInterval: "0" }));
    expect(await reconcile()).toBe("never");
    await writeSecretFile(folder, "r2", '{"id": "new", "key": "new"}');
    await clock.advance(24 * 3_600_000);

    expect(await reconcile()).toBe("never");
    expect(values()).toMatchObject({ id: "AKIA" });

    store.delete(secretKey);
    await reconcile();
    expect(values()).toMatchObject({ id: "new" });
  });

  test("when somebody has changed or deleted the Secret, as the store tells", async () => {
    const { store, reconcile, values, secret, providers, clock } = await bench();
    store.create(draft({ data: both }));
    store.create(draft({ data: both, target: { name: "other" } }, { name: "another" }));
    await reconcile();
    const reconciler = createExternalSecretReconciler({ store, providers, clock, signal: neverAborted });
    const resource = secret() as Resource;
    expect(reconciler.affectedBy?.({ type: "modified", resource })).toEqual([key]);

    store.update({
      ...draftOf(resource),
      content: { type: "Opaque", data: { id: "aGFuZA==", mine: "eA==" } },
    });
    await reconcile();
    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });

    store.delete(secretKey);
    await reconcile();
    expect(values()).toEqual({ id: "AKIA", key: "s3cret" });
  });

  test("and what only looks different is left alone: labels of people stay", async () => {
    const { store, reconcile, secret } = await bench();
    store.create(draft({ data: both }));
    await reconcile();
    const resource = secret() as Resource;
    store.update({ ...draftOf(resource), labels: { ...resource.metadata.labels, mine: "yes" } });
    const version = secret()?.metadata.resourceVersion;

    await reconcile();
    store.update({ ...draftOf(store.require(key)), annotations: { "external-secrets.io/force-sync": "1" } });
    await reconcile();

    expect(secret()?.metadata.labels).toMatchObject({ mine: "yes" });
    expect(secret()?.metadata.generation).toBe(1);
    expect(secret()?.metadata.resourceVersion).not.toBe(version);
  });
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

describe("what is not right is said, and nothing is made", () => {
  test.each([
    [
      { data: both, target: { template: { data: { a: "{{ .id | upper }}" } } } },
      "not supported here: spec.target.template.data.a: {{ .id | upper }} is more than {{ .key }}",
    ],
    [{}, "invalid ExternalSecret: spec: either data or dataFrom should be specified"],
    [
      { data: both, refreshInterval: "soon" },
      "invalid ExternalSecret: spec.refreshInterval: not a duration such as 90s or 1h30m",
    ],
  ])("%j", async (spec, message) => {
    const { store, reconcile, secret, ready } = await bench();
    store.create(draft(spec));

    expect(await reconcile()).toBe("never");

    expect(ready()).toBe(`Ready False SecretSyncedError: ${message}`);
    expect(secret()).toBeUndefined();
  });

  test("a template that uses a value which was not fetched", async () => {
    const { store, reconcile, secret, ready, events } = await bench();
    store.create(draft({ data: both, target: { template: { data: { a: "{{ .password }}" } } } }));

    await expect(reconcile()).rejects.toMatchObject({ code: "secret-unavailable" });

    expect([secret(), ready()]).toEqual([
      undefined,
      "Ready False SecretSyncedError: could not update secret",
    ]);
    expect(events().at(-1)).toContain('template "data.a" uses "password", and there is no such value');
  });

  test("no value is in a status, an event or an error, whatever fails", async () => {
    const { store, reconcile, folder } = await bench({ plain: "hunter2", wrong: '{"id": "hunter2!"}' });
    const script = await scriptIn(folder, "fail", "echo hunter2; echo 'cannot: hunter2' >&2; exit 1");
    const specs = [
      { data: [{ secretKey: "a", remoteRef: { key: "plain", property: "id" } }] },
      { dataFrom: [{ extract: { key: "plain" } }] },
      { data: [{ secretKey: "a", remoteRef: { key: "wrong", property: "id", decodingStrategy: "Base64" } }] },
      {
        data: [{ secretKey: "a", remoteRef: { key: "plain" } }],
        target: { template: { data: { x: "{{ .b }}" } } },
      },
      { secretStoreRef: { name: "script" }, data: [{ secretKey: "a", remoteRef: { key: script } }] },
    ];
    const failures: unknown[] = [];
    for (const [index, spec] of specs.entries()) {
      store.create(draft(spec, { name: `es-${index}` }));
      failures.push(await reconcile({ ...key, name: `es-${index}` }).catch((error: unknown) => error));
    }

    expect(failures.every((failure) => failure instanceof Error)).toBe(true);
    const said = JSON.stringify([
      failures.map(String),
      store.list({ kind: "ExternalSecret" }),
      store.events(),
    ]);
    expect(said).not.toContain("hunter2");
  });
});

describe("a source that takes its time", () => {
  async function slow(clock: Clock) {
    const resources = await temporaryResources();
    const store = await resources.open();
    const folder = await folderWith({});
    const script = await scriptIn(
      folder,
      "slow",
      `echo x >> ${folder}/runs; while [ ! -e ${folder}/go ]; do sleep 0.05; done; echo value`,
    );
    const providers = createSecretProviders(
      {
        stores: {
          slow: {
            kind: "command",
            command: [script],
            take: "all",
            absentStatus: [],
            timeout: "60s",
            environment: {},
          },
        },
        default: "slow",
      },
      { directory: folder, environment: process.env },
    );
    const end = new AbortController();
    const reconciler = createExternalSecretReconciler({ store, providers, clock, signal: end.signal });
    return { store, folder, reconciler, end };
  }

  test("holds nobody up: it is looked at again, and asked once", async () => {
    const { store, folder, reconciler, end } = await slow(systemClock);
    store.create(draft({ data: [{ secretKey: "a", remoteRef: { key: "b" } }] }));

    expect(await reconciler.reconcile(key, end.signal)).toEqual({ afterMs: 500 });
    expect(await reconciler.reconcile(key, end.signal)).toEqual({ afterMs: 500 });
    expect(store.get(secretKey)).toBeUndefined();
    await writeSecretFile(folder, "go", "");
    let again = await reconciler.reconcile(key, end.signal);
    for (let tries = 0; typeof again === "object" && again.afterMs === 500 && tries < 50; tries++) {
      again = await reconciler.reconcile(key, end.signal);
    }

    expect((again as { afterMs: number }).afterMs).toBeGreaterThan(3_590_000);
    expect(store.get(secretKey)?.content).toMatchObject({ data: { a: "dmFsdWU=" } });
    expect(await readFile(join(folder, "runs"), "utf8")).toBe("x\n");
    end.abort();
  });

  test("is given up when the object is another by then, and nothing of the old one is written", async () => {
    const { store, folder, reconciler, end } = await slow(systemClock);
    store.create(draft({ data: [{ secretKey: "old", remoteRef: { key: "b" } }] }));
    expect(await reconciler.reconcile(key, end.signal)).toEqual({ afterMs: 500 });

    store.delete(key);
    store.create(draft({ data: [{ secretKey: "new", remoteRef: { key: "b" } }] }));
    await writeSecretFile(folder, "go", "");
    for (let tries = 0; store.get(secretKey) === undefined && tries < 50; tries++) {
      await reconciler.reconcile(key, end.signal);
    }

    expect(Object.keys(store.require(secretKey).content["data"] as object)).toEqual(["new"]);
    end.abort();
  });
});

test("in the loop: made, rotated, brought back and cleaned up without anybody asking", async () => {
  const resources = await temporaryResources();
  const store = await resources.open();
  const folder = await folderWith({ r2: "one" });
  const providers = createSecretProviders(
    { stores: { files: { kind: "directory", path: folder } }, default: "files" },
    { directory: folder, environment: {} },
  );
  const end = new AbortController();
  const lines: string[] = [];
  const { ended } = runReconcilers({
    store,
    reconcilers: [
      createExternalSecretReconciler({ store, providers, clock: systemClock, signal: end.signal }),
    ],
    clock: systemClock,
    log: createLog((level, message, { error }) => lines.push(`${level} ${message} ${error}`)),
    signal: end.signal,
  });
  const value = () => (store.get(secretKey)?.content["data"] as { a?: string } | undefined)?.a;
  const becomes = async (text: string | undefined) => {
    const wanted = text && Buffer.from(text).toString("base64");
    await expect.poll(value, { timeout: 10_000 }).toBe(wanted);
  };

  store.create(draft({ data: [{ secretKey: "a", remoteRef: { key: "r2" } }], refreshInterval: "1s" }));
  await becomes("one");
  await writeSecretFile(folder, "r2", "two");
  await becomes("two");
  store.delete(secretKey);
  await becomes("two");
  const versionBefore = Number(store.version);
  await systemClock.sleep(2500);
  // A refresh writes one status; nothing goes round in between.
  expect(Number(store.version) - versionBefore).toBeLessThanOrEqual(4);
  store.delete(keyOf(store.require(key)));
  await becomes(undefined);

  end.abort();
  await ended;
  expect(lines).toEqual([]);
});
