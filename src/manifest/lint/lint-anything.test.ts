import fc from "fast-check";
import { expect, test } from "vitest";
import { knownKinds } from "../kinds/registry.ts";
import { parseManifests } from "../parse.ts";
import { allRules } from "./all-rules.ts";
import { applyFixes } from "./apply-fixes.ts";
import { runRules } from "./run-rules.ts";

/** Names that rules look for, so that random objects get deep into them. */
const names = [
  "metadata",
  "name",
  "namespace",
  "spec",
  "plugins",
  "parameters",
  "barmanObjectName",
  "additionalObjectNames",
  "externalClusters",
  "plugin",
  "bootstrap",
  "recovery",
  "recoveryTarget",
  "targetTime",
  "source",
  "backup",
  "barmanObjectStore",
  "configuration",
  "destinationPath",
  "s3Credentials",
  "accessKeyId",
  "retentionPolicy",
  "wal",
  "data",
  "retention",
  "schedule",
  "cluster",
  "method",
  "storage",
  "stringData",
  "annotations",
  "replica",
  "enabled",
  "primary",
  "tablespaces",
  "imageName",
  "connectionParameters",
  "stores",
  "schedules",
  "archivePolicy",
  "dataDirectory",
  "target",
  "checks",
  "template",
  "dataFrom",
  "find",
  "rewrite",
];

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom<unknown>("a", "b", "", "30d", "0 3 * * *", "s3://a/", 0, -1, true, null, {}, []),
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...names), tie("any"), { maxKeys: 6 }),
  ),
})).any;

test("no manifest, however wrong, makes a rule fail, and fixes leave something that can be read", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          head: fc.constantFrom(...knownKinds, { apiVersion: "batch/v1", kind: "CronJob" }),
          metadata: value,
          spec: value,
          more: fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 2 }),
        }),
        { maxLength: 4 },
      ),
      (objects) => {
        const text = objects
          .map(({ head, metadata, spec, more }) =>
            JSON.stringify({ ...more, apiVersion: head.apiVersion, kind: head.kind, metadata, spec }),
          )
          .join("\n---\n");
        const manifests = parseManifests([{ path: "a", text }]);
        const reports = runRules(manifests, allRules);
        const [fixed] = applyFixes(
          manifests.documents,
          reports.flatMap(({ fix }) => fix ?? []),
        );
        expect(manifests.problems).toEqual([]);
        expect(parseManifests([{ path: "a", text: fixed?.text ?? text }]).problems).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
