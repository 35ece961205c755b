import { expect, test } from "vitest";
import { draftOf } from "../resources/resource.ts";
import type { ResourceChange, ResourceStore } from "../resources/resource-store.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { applyManifests } from "./apply-manifests.ts";
import { namespaceReconciler } from "./namespaces.ts";
import { cluster, secret } from "./testing/manifests.ts";

const prod = { kind: "Namespace", namespace: "", name: "prod" };
const never = new AbortController().signal;

async function fill(): Promise<ResourceStore> {
  const store = await (await temporaryResources()).open();
  const texts = [secret, cluster, secret.replace("prod", "other")];
  applyManifests({ store, texts: texts.map((text) => ({ path: "a", text })), defaultNamespace: "default" });
  return store;
}

test("a namespace that is deleted goes when everything in it is gone, and takes nothing else with it", async () => {
  const store = await fill();
  const { reconcile } = namespaceReconciler(store);
  const pg = { kind: "Cluster", namespace: "prod", name: "pg" };
  store.update({ ...draftOf(store.require(pg)), finalizers: ["example.dev/servers"] });

  expect(store.delete(prod)).toBe("marked");
  await reconcile(prod, never);

  expect(store.list({ namespace: "prod" }).map(({ kind }) => kind)).toEqual(["Cluster"]);
  expect(store.get(prod)).toBeDefined();

  store.update({ ...draftOf(store.require(pg)), finalizers: [] });
  await reconcile(prod, never);

  expect(store.get(prod)).toBeUndefined();
  expect(store.list({ namespace: "other" }).length).toBe(1);
  await expect(reconcile(prod, never)).resolves.toBe("never");
});

test("it is looked at again when something in it has gone", async () => {
  const store = await fill();
  const { affectedBy } = namespaceReconciler(store);
  const changes: ResourceChange[] = [];
  store.subscribe((change) => changes.push(change));

  store.delete({ kind: "Secret", namespace: "prod", name: "s3" });

  expect(changes.flatMap((change) => affectedBy?.(change) ?? [])).toEqual([prod]);
});
