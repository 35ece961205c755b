import { expect, test } from "vitest";
import { knownKinds } from "../../manifest/kinds/registry.ts";
import { findKindName, kindNames, versionPath } from "./kind-names.ts";

test("every kind that is kept has its names, with all its versions, and no other has", () => {
  const known = knownKinds.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
  const named = kindNames.flatMap(({ apiVersions, kind }) =>
    apiVersions.map((version) => `${version} ${kind}`),
  );

  expect(named.toSorted()).toEqual(known.toSorted());
});

test.each([
  ["clusters", "Cluster"],
  ["cluster", "Cluster"],
  ["Cluster", "Cluster"],
  ["CLUSTERS", "Cluster"],
  ["clusters.postgresql.cnpg.io", "Cluster"],
  ["cm", "ConfigMap"],
  ["es", "ExternalSecret"],
  ["ns", "Namespace"],
  ["pods", undefined],
])("%s means %s", (word, kind) => {
  expect(findKindName(word)?.kind).toBe(kind);
});

test("addresses are Kubernetes'", () => {
  expect(versionPath("v1")).toBe("/api/v1");
  expect(versionPath("postgresql.cnpg.io/v1")).toBe("/apis/postgresql.cnpg.io/v1");
});
