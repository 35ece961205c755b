import { expect, test } from "vitest";
import { kindNameOf } from "../control/admission/kind-names.ts";
import { listPath, objectPath, parseKindArguments } from "./kind-arguments.ts";

const brief = (...words: string[]) =>
  parseKindArguments(words).map(({ kind, names }) => [kind.kind, ...names].join(" "));

test.each([
  [["clusters"], ["Cluster"]],
  [["Cluster", "pg", "other"], ["Cluster pg other"]],
  [["clusters,backups"], ["Cluster", "Backup"]],
  [
    ["cluster/pg", "backup/daily"],
    ["Cluster pg", "Backup daily"],
  ],
  [
    ["all"],
    ["Cluster", "Backup", "ScheduledBackup", "ObjectStore", "ExternalSecret", "Server", "RestoreDrill"],
  ],
])("%j", (words, expected) => {
  expect(brief(...words)).toEqual(expected);
});

test.each([
  [[], "no kind is named"],
  [["clutser"], 'there is no kind "clutser"'],
  [["cluster/pg", "backup"], '"backup" does not name an object as KIND/NAME'],
  [["cluster/"], '"cluster/" does not name an object'],
  [["all", "pg"], "all takes no names"],
])("%j is refused", (words, message) => {
  expect(() => brief(...words)).toThrow(message);
});

test("addresses are those of the API", () => {
  const cluster = kindNameOf("Cluster")!;
  const namespace = kindNameOf("Namespace")!;

  expect(listPath(cluster, "prod")).toBe("/apis/postgresql.cnpg.io/v1/namespaces/prod/clusters");
  expect(listPath(cluster, undefined)).toBe("/apis/postgresql.cnpg.io/v1/clusters");
  expect(objectPath(cluster, "prod", "a b/c")).toBe(
    "/apis/postgresql.cnpg.io/v1/namespaces/prod/clusters/a%20b%2Fc",
  );
  expect(objectPath(namespace, "prod", "prod")).toBe("/api/v1/namespaces/prod");
});
