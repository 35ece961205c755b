import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { allRules } from "../src/manifest/lint/all-rules.ts";
import { applyFixes } from "../src/manifest/lint/apply-fixes.ts";
import { runRules } from "../src/manifest/lint/run-rules.ts";
import { parseManifests } from "../src/manifest/parse.ts";

function lint(path: string, text: string) {
  const manifests = parseManifests([{ path, text }]);
  const reports = runRules(manifests, allRules);
  const found = reports
    .filter(({ severity }) => severity !== "info")
    .map(({ rule, severity, object }) => `${severity} ${object?.kind} ${object?.name}: ${rule}`);
  return { manifests, reports, found };
}

const read = async (name: string) => readFile(join(import.meta.dirname, "guides", `${name}.yaml`), "utf8");

describe("what the linter finds in the manifests of guides", () => {
  test("in-tree backups, CronJobs, and a restore into another namespace", async () => {
    const { found } = lint("in-tree", await read("in-tree"));

    expect(found.toSorted()).toEqual([
      "error Backup daily-backup: misplaced-retention",
      "error Cluster my-postgres-cluster: misplaced-endpoint",
      "error Cluster my-postgres-cluster: misplaced-retention",
      "error Cluster my-postgres-cluster: misplaced-retention",
      "error Cluster my-postgres-cluster: missing-storage-size",
      "error Cluster restored-cluster: missing-storage-size",
      "error Cluster restored-cluster: recovery-source-is-backup",
      "error Cluster restored-elsewhere: backup-namespace",
      "error Cluster restored-elsewhere: missing-reference",
      "warning Cluster my-postgres-cluster: in-tree-deprecated",
      "warning Cluster my-postgres-cluster: region-not-secret",
      "warning Cluster restored-cluster: in-tree-deprecated",
      "warning Cluster restored-cluster: no-retention",
      "warning Cluster restored-cluster: target-without-zone",
      "warning Cluster restored-elsewhere: archives-nowhere",
      "warning CronJob postgres-backup-00: cronjob-backups",
      "warning Secret r2-credentials: unused-secret-key",
    ]);
  });

  test("a dual backup whose second store never receives a byte", async () => {
    const { found } = lint("dual", await read("dual"));

    expect(found.toSorted()).toEqual([
      "error Cluster restore-test: missing-external-cluster",
      "error Cluster restore-test: missing-storage-size",
      "error ScheduledBackup authentik-daily: five-field-schedule",
      "warning Cluster authentik-postgresql: in-tree-deprecated",
      "warning Cluster authentik-postgresql: in-tree-deprecated",
      "warning Cluster authentik-postgresql: missing-server-name",
      "warning Cluster authentik-postgresql: plugin-and-in-tree",
      "warning Cluster restore-test: archives-nowhere",
      "warning ObjectStore authentik-b2-store: no-retention",
      "warning ObjectStore authentik-minio-store: missing-reference",
      "warning ObjectStore authentik-minio-store: unused-store",
    ]);
  });

  test("the plugin, with a misspelt namespace and a target in its parameters", async () => {
    const { found } = lint("plugin", await read("plugin"));

    expect(found.toSorted()).toEqual([
      "error Cluster test-restore: misplaced-recovery-target",
      "error Cluster test: missing-namespace",
      "error Cluster test: missing-reference",
      "error ScheduledBackup hourly: missing-reference",
      "warning Cluster test-restore: archives-nowhere",
    ]);
  });
});

test("nothing is said against manifests that are right", async () => {
  const { found } = lint("valid", await read("valid"));

  expect(found).toEqual([]);
});

test("the fixes correct what they can, and the result has none of it left", async () => {
  const { manifests, reports } = lint("plugin", await read("plugin"));
  const fixes = reports.flatMap(({ fix }) => fix ?? []);
  const [fixed] = applyFixes(manifests.documents, fixes);
  const text = fixed?.text ?? "";

  expect(text).toContain("# The plugin on S3");
  expect(text).toMatch(/recoveryTarget:\s+targetTime: "2025-11-08 09:00:00\+00"/);
  // Which of two namespaces is meant is for people to say.
  expect(lint("plugin", text.replace("cpgn-system", "cnpg-system")).found).toEqual([
    "warning ObjectStore s3-store: no-retention",
    "warning Cluster test-restore: archives-nowhere",
  ]);
});
