import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { createLog } from "../../common/log.ts";
import { runReconcilers } from "../loop/run-reconcilers.ts";
import { draftOf, keyOf, type Resource } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { createExternalSecretReconciler } from "./external-secret-reconciler.ts";
import { statusOf } from "./external-secret-status.ts";
import { createSecretProviders } from "./provider-settings.ts";
import { bench, both, draft, key, secretKey } from "./testing/external-secret-bench.ts";
import { folderWith, neverAborted, writeSecretFile } from "./testing/secret-folder.ts";

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

test("killed between the Secret and the status, it finds the Secret as it is to be, and writes nothing but the status", async () => {
  const { store, reconcile, secret, ready } = await bench();
  store.create(draft({ data: both }));
  await reconcile();
  const version = secret()?.metadata.resourceVersion;
  store.setStatus(key, {}, {});

  await reconcile();

  expect([secret()?.metadata.resourceVersion, ready()]).toEqual([
    version,
    "Ready True SecretSynced: secret synced",
  ]);
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
