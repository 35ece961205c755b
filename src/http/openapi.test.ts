import { expect, test } from "vitest";
import { knownKinds } from "../manifest/kinds/registry.ts";
import { jsonOf, testApi } from "./testing/test-api.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

async function readDocument() {
  const { app } = await testApi();
  return { app, document: (await jsonOf(await app.request("/openapi.json"))) as unknown as Document };
}

test("the document has every route that the server has, and no other", async () => {
  const { app, document } = await readDocument();

  const served = app.routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );

  expect(described.toSorted()).toEqual([...new Set(served)].toSorted());
  expect(described.length).toBeGreaterThan(knownKinds.length * 5);
});

test("every operation has a name of its own, and every reference leads somewhere", async () => {
  const { document } = await readDocument();
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  const ids = operations.map(({ operationId }) => operationId);

  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
    ([, name = ""]) => name,
  );

  expect(new Set(ids).size).toBe(ids.length);
  expect(references.filter((name) => document.components.schemas[name] === undefined)).toEqual([]);
  expect(JSON.stringify(document).match(/"\$ref":"(?!#\/components\/schemas\/)/)).toBeNull();
});

test("schemas are those by which manifests are read", async () => {
  const { document } = await readDocument();

  expect(document.components.schemas).toMatchObject({
    Cluster: {
      additionalProperties: false,
      properties: { spec: { properties: { instances: { type: "integer" } } } },
    },
    ClusterList: { properties: { items: { items: { $ref: "#/components/schemas/Cluster" } } } },
    ApplyRequest: { required: ["texts"] },
  });
  const list = document.paths["/api/v1/namespaces/{namespace}/secrets"]?.["get"];
  expect(list?.parameters?.map(({ name }) => name)).toEqual([
    "namespace",
    "labelSelector",
    "fieldSelector",
    "watch",
    "allowWatchBookmarks",
    "reveal",
  ]);
});
