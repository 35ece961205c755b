import { expect, test } from "vitest";
import { toManifest } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { lastAppliedAnnotation } from "./applied-names.ts";
import { applyManifests } from "./apply-manifests.ts";
import { cluster } from "./testing/manifests.ts";
import { createObject, replaceObject } from "./write-object.ts";

const manifest = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "settings", labels: { a: "b" } },
  data: { key: "value" },
};
const place = { kind: "ConfigMap", namespace: "prod" };

test("an object is made once, with its namespace", async () => {
  const store = await (await temporaryResources()).open();

  const { resource } = createObject({ store, manifest, ...place });

  expect(resource).toMatchObject({ content: { data: { key: "value" } }, metadata: { labels: { a: "b" } } });
  expect(store.get({ kind: "Namespace", namespace: "", name: "prod" })).toBeDefined();
  expect(() => createObject({ store, manifest, ...place })).toThrow(
    '"ConfigMap prod/settings" exists already',
  );
});

test("replacing takes what is given, only of the version that it is based on, and keeps what apply needs", async () => {
  const store = await (await temporaryResources()).open();
  applyManifests({ store, texts: [{ path: "a", text: cluster }], defaultNamespace: "default" });
  const key = { kind: "Cluster", namespace: "prod", name: "pg" };
  const read = toManifest(store.require(key)) as { metadata: object; spec: object };
  const next = { ...read, spec: { ...read.spec, instances: 2 } };

  const { resource } = replaceObject({
    store,
    manifest: { ...next, metadata: { ...read.metadata, labels: {} } },
    ...key,
  });

  expect(resource.content["spec"]).toMatchObject({ instances: 2 });
  expect(resource.metadata.labels).toEqual({});
  expect(resource.metadata.annotations[lastAppliedAnnotation]).toBe(
    '{"labels":["team"],"annotations":["note"]}',
  );
  expect(() => replaceObject({ store, manifest: next, ...key })).toThrow("has been changed");
});

test("finalizers can be taken off an object that waits for them", async () => {
  const store = await (await temporaryResources()).open();
  createObject({ store, manifest, ...place });
  replaceObject({
    store,
    manifest: { ...manifest, metadata: { name: "settings", finalizers: ["example.dev/wait"] } },
    ...place,
    name: "settings",
  });
  expect(store.delete({ ...place, name: "settings" })).toBe("marked");

  replaceObject({
    store,
    manifest: { ...manifest, metadata: { name: "settings", finalizers: [] } },
    ...place,
    name: "settings",
  });

  expect(store.get({ ...place, name: "settings" })).toBeUndefined();
});

test.each([
  [
    "another kind",
    { ...manifest, kind: "Secret" },
    "usage",
    "the object is a Secret, but the address is for a ConfigMap",
  ],
  [
    "another namespace",
    { ...manifest, metadata: { name: "a", namespace: "b" } },
    "manifest",
    "does not match",
  ],
  ["nothing", {}, "manifest", "not a Kubernetes object"],
  ["an unknown field", { ...manifest, dato: {} }, "manifest", '"dato" is not a field of a ConfigMap'],
])("%s at an address is refused", async (_what, given, code, message) => {
  const store = await (await temporaryResources()).open();

  expect(() => createObject({ store, manifest: given, ...place })).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error,
  );
  expect(store.version).toBe("0");
});

test("an object of another name is not put in the place of one", async () => {
  const store = await (await temporaryResources()).open();
  createObject({ store, manifest, ...place });

  expect(() =>
    replaceObject({ store, manifest: { ...manifest, metadata: { name: "b" } }, ...place, name: "settings" }),
  ).toThrow('the object is called "b", but the address says "settings"');
});
