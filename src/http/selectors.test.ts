import { describe, expect, test } from "vitest";
import type { Resource } from "../control/resources/resource.ts";
import { parseFieldSelector, parseLabelSelector } from "./selectors.ts";

const resource: Resource = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    name: "a",
    namespace: "prod",
    uid: "1",
    resourceVersion: "1",
    generation: 1,
    creationTimestamp: "2026-01-01T00:00:00Z",
    labels: { app: "web", "cnpg.io/cluster": "pg", empty: "" },
    annotations: {},
    ownerReferences: [],
    finalizers: [],
  },
  content: {},
  status: undefined,
};

describe("label selectors", () => {
  test.each([
    ["", true],
    ["app", true],
    ["!app", false],
    ["! other", true],
    ["constructor", false],
    ["app=web", true],
    ["app == web", true],
    ["app=db", false],
    ["app!=db", true],
    ["other!=db", true],
    ["empty=", true],
    ["app=", false],
    ["cnpg.io/cluster=pg,app=web", true],
    ["cnpg.io/cluster=pg,app=db", false],
    ["app in (db,web)", true],
    ["app in (db, x), !other", false],
    ["app notin (db, x)", true],
    ["other notin (db)", true],
    ["other in (db)", false],
  ])("%s: %s", (text, expected) => {
    expect(parseLabelSelector(text)(resource)).toBe(expected);
  });

  test.each(["a b", "=a", "a>1", "a in b", "a in (b", "a=b=c", "(a)"])("%s is none", (text) => {
    expect(() => parseLabelSelector(text)).toThrow("is no label selector");
  });
});

describe("field selectors", () => {
  test.each([
    ["", true],
    ["metadata.name=a", true],
    ["metadata.name!=a", false],
    ["metadata.name=a,metadata.namespace=prod", true],
    ["metadata.namespace=test", false],
  ])("%s: %s", (text, expected) => {
    expect(parseFieldSelector(text)(resource)).toBe(expected);
  });

  test("other fields are refused", () => {
    expect(() => parseFieldSelector("status.phase=x")).toThrow('"status.phase=x" is no field selector');
  });
});
