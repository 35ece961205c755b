import { describe, expect, test } from "vitest";
import { ownerReferenceTo } from "../resources/resource.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { lastAppliedAnnotation } from "./applied-names.ts";
import { applyManifests, type ApplyOptions } from "./apply-manifests.ts";
import type { ApplyResult } from "./apply-result.ts";
import {
  allManifests,
  backup,
  cluster,
  namespace,
  objectStore,
  restoredCluster,
  saidBy,
  scheduledBackup,
  secret,
  secretValue,
} from "./testing/manifests.ts";

async function openStore(): Promise<ResourceStore> {
  return (await temporaryResources()).open();
}

function apply(
  store: ResourceStore,
  texts: readonly string[],
  more: Partial<Omit<ApplyOptions, "store" | "texts">> = {},
): ApplyResult {
  return applyManifests({
    store,
    texts: texts.map((text, index) => ({ path: `${index}.yaml`, text })),
    defaultNamespace: "default",
    ...more,
  });
}

const outcomes = ({ objects }: ApplyResult) =>
  objects.map(({ kind, name, outcome }) => `${kind}/${name} ${outcome}`);
const rules = ({ findings }: ApplyResult) => findings.map(({ rule, severity }) => `${severity} ${rule}`);
const pg = { kind: "Cluster", namespace: "prod", name: "pg" };

describe("applying manifests", () => {
  test("makes what is not there, leaves what is the same, and changes what differs", async () => {
    const store = await openStore();

    const first = apply(store, [namespace, cluster]);
    const { version } = store;
    const second = apply(store, [namespace, cluster]);
    const third = apply(store, [namespace, cluster.replace("instances: 1", "instances: 3")]);

    expect(outcomes(first)).toEqual(["Namespace/prod created", "Cluster/pg created"]);
    expect(outcomes(second)).toEqual(["Namespace/prod unchanged", "Cluster/pg unchanged"]);
    expect(version).toBe("2");
    expect(outcomes(third)).toEqual(["Namespace/prod unchanged", "Cluster/pg configured"]);
    expect(third.objects[1]?.changes).toEqual([{ field: "spec.instances", before: 1, after: 3 }]);
    expect(store.require(pg).metadata.generation).toBe(2);
  });

  test("says what would happen in a dry run, and does nothing", async () => {
    const store = await openStore();
    apply(store, [cluster]);
    const { version } = store;

    const dry = apply(store, [cluster.replace("instances: 1", "instances: 2"), secret], { dryRun: true });

    expect(dry.outcome).toBe("dry-run");
    expect(outcomes(dry)).toEqual(["Cluster/pg configured", "Secret/s3 created"]);
    expect(store.version).toBe(version);
  });

  test("keeps what the manifest says and nothing else; null is as good as nothing", async () => {
    const store = await openStore();
    const target = 'recoveryTarget: {targetTime: "2026-01-01T00:00:00Z", exclusive: null}';

    apply(store, [
      `${restoredCluster.replace("namespace: prod", "namespace: prod, labels: null").replace("source: origin", `source: origin, ${target}`)}status: {phase: mine}\n`,
    ]);

    const { content, metadata, status } = store.require({ ...pg, name: "copy" });
    expect(Object.keys(content)).toEqual(["spec"]);
    expect(content["spec"]).toMatchObject({
      bootstrap: { recovery: { source: "origin", recoveryTarget: { targetTime: "2026-01-01T00:00:00Z" } } },
    });
    expect(JSON.stringify(content)).not.toContain("null");
    expect([metadata.labels, metadata.annotations, status]).toEqual([{}, {}, undefined]);
  });

  test("folds a Secret's stringData into its data, as text and base 64 alike", async () => {
    const store = await openStore();
    const encoded = Buffer.from(secretValue).toString("base64");

    apply(store, [secret]);
    const again = apply(store, [
      secret.replace(
        /stringData: .*/,
        `data: {ID: dGlkZW1hcms=, KEY: "${encoded.slice(0, 4)}\\n${encoded.slice(4)}"}`,
      ),
    ]);

    expect(store.require({ kind: "Secret", namespace: "prod", name: "s3" }).content).toEqual({
      data: { ID: "dGlkZW1hcms=", KEY: encoded },
    });
    expect(outcomes(again)).toEqual(["Secret/s3 unchanged"]);
  });

  test("never shows what a Secret holds, nor what it held", async () => {
    const store = await openStore();
    apply(store, [secret]);

    const result = apply(store, [secret.replace(secretValue, "another-4711")], { dryRun: true });

    expect(result.objects[0]?.changes).toEqual([
      { field: "data.KEY", before: "[redacted]", after: "[redacted]" },
    ]);
    for (const value of [secretValue, "another-4711"]) {
      expect(JSON.stringify(result)).not.toContain(value);
      expect(JSON.stringify(result)).not.toContain(Buffer.from(value).toString("base64"));
    }
  });

  test("takes away the labels that an earlier application set, and leaves those of others", async () => {
    const store = await openStore();
    apply(store, [cluster]);
    const { metadata, content, apiVersion } = store.require(pg);
    store.update({
      ...pg,
      apiVersion,
      content,
      labels: { ...metadata.labels, "cnpg.io/reload": "true" },
      annotations: metadata.annotations,
    });

    apply(store, [
      cluster.replace("labels: {team: data}, annotations: {note: first}", "labels: {size: big}"),
    ]);

    const { labels, annotations } = store.require(pg).metadata;
    expect(labels).toEqual({ "cnpg.io/reload": "true", size: "big" });
    expect(annotations).toEqual({ [lastAppliedAnnotation]: '{"labels":["size"],"annotations":[]}' });
  });

  test("keeps the names of labels and annotations, never what they say, nor kubectl's copy of the object", async () => {
    const store = await openStore();

    apply(store, [
      secret.replace(
        "namespace: prod}",
        `namespace: prod, annotations: {"kubectl.kubernetes.io/last-applied-configuration": "{KEY: ${secretValue}}", note: x}}`,
      ),
    ]);

    expect(store.require({ kind: "Secret", namespace: "prod", name: "s3" }).metadata.annotations).toEqual({
      note: "x",
      [lastAppliedAnnotation]: '{"labels":[],"annotations":["note"]}',
    });
  });

  test("keeps owners and finalizers that others have set, whatever the manifest says of them", async () => {
    const store = await openStore();
    apply(store, [cluster, backup]);
    const once = { kind: "Backup", namespace: "prod", name: "once" };
    const owner = ownerReferenceTo(store.require(pg));
    store.update({
      ...once,
      apiVersion: "postgresql.cnpg.io/v1",
      content: store.require(once).content,
      ownerReferences: [owner],
      finalizers: ["example.dev/wait"],
    });

    const result = apply(store, [backup.replace("namespace: prod}", "namespace: prod, finalizers: []}")]);

    expect(outcomes(result)).toEqual(["Backup/once unchanged"]);
    expect(store.require(once).metadata).toMatchObject({
      ownerReferences: [owner],
      finalizers: ["example.dev/wait"],
    });
  });

  test("makes a namespace that nobody has made, and says so", async () => {
    const store = await openStore();

    const result = apply(store, [secret, secret.replace(", namespace: prod", "")]);

    expect(outcomes(result)).toEqual([
      "Namespace/prod created",
      "Namespace/default created",
      "Secret/s3 created",
      "Secret/s3 created",
    ]);
    expect(rules(result)).toEqual(["info namespace-made"]);
    expect(store.get({ kind: "Namespace", namespace: "", name: "prod" })).toBeDefined();
  });

  test("puts objects without a namespace where it is told to, and others only where they belong", async () => {
    const store = await openStore();
    const anywhere = secret.replace(", namespace: prod", "");

    const there = apply(store, [anywhere], { defaultNamespace: "test", requireNamespace: true });
    const elsewhere = apply(store, [secret], { defaultNamespace: "test", requireNamespace: true });

    expect(store.get({ kind: "Secret", namespace: "test", name: "s3" })).toBeDefined();
    expect(there.outcome).toBe("applied");
    expect(elsewhere.outcome).toBe("refused");
    expect(elsewhere.findings.at(-1)).toMatchObject({
      rule: "other-namespace",
      message: 'the namespace "prod" of the object does not match the namespace "test"',
      hint: "You must pass --namespace=prod to perform this operation.",
    });
  });
});

describe("what is refused", () => {
  test("one error, and nothing is written, whatever else there is", async () => {
    const store = await openStore();
    apply(store, [secret]);
    const [before, { version }] = [saidBy(store), store];

    const result = apply(store, [
      secret.replace(secretValue, "other"),
      cluster,
      scheduledBackup.replace("0 0 3 * * *", "0 3 * * *"),
    ]);

    expect(result.outcome).toBe("refused");
    expect(outcomes(result)).toEqual([
      "Secret/s3 refused",
      "Cluster/pg refused",
      "ScheduledBackup/nightly refused",
    ]);
    expect(result.objects.map(({ reason }) => reason)).toEqual([
      "others have errors, and all are applied or none",
      "others have errors, and all are applied or none",
      "it has errors",
    ]);
    expect(result.findings).toContainEqual(
      expect.objectContaining({ rule: "five-field-schedule", severity: "error", file: "2.yaml", line: 5 }),
    );
    expect([saidBy(store), store.version]).toEqual([before, version]);
  });

  test.each([
    ["a text that is no manifest", "kind: [", "unreadable"],
    ["an unknown field", cluster.replace("instances", "instanzes"), "unknown-field"],
    ["an object without a name", cluster.replace("name: pg, ", ""), "missing-name"],
    ["a name that could be a path", secret.replace("name: s3", 'name: "../s3"'), "bad-object-name"],
    [
      "a namespace that could be a path",
      secret.replace("namespace: prod", 'namespace: "a/b"'),
      "bad-object-name",
    ],
    ["a label with blanks", cluster.replace("team: data", "team: a b"), "bad-label"],
    ["the same object twice", `${secret}---\n${secret}`, "duplicate-object"],
    ["a Secret as it is shown", secret.replace(secretValue, '"[redacted]"'), "redacted-value"],
    [
      "a kind of another project",
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}",
      "unknown-kind",
    ],
    ["a misspelt kind", cluster.replace("kind: Cluster", "kind: Clutser"), "unknown-kind"],
  ])("%s", async (_what, text, rule) => {
    const store = await openStore();

    const result = apply(store, [text]);

    expect(result.outcome).toBe("refused");
    expect(rules(result)).toContain(`error ${rule}`);
    expect(store.version).toBe("0");
  });

  test("one object in two versions of its kind", async () => {
    const store = await openStore();
    const external = (version: string) => `apiVersion: external-secrets.io/${version}
kind: ExternalSecret
metadata: {name: s3}
spec: {secretStoreRef: {name: vault}, data: [{secretKey: ID, remoteRef: {key: id}}]}
`;

    const result = apply(store, [external("v1"), external("v1beta1")]);

    expect(result.findings).toContainEqual(
      expect.objectContaining({
        rule: "duplicate-object",
        message: 'ExternalSecret "s3" is also given as external-secrets.io/v1',
      }),
    );
  });

  test("unknown kinds are left out where that is asked for, and kinds that are not run here always", async () => {
    const store = await openStore();
    const deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}";
    const pooler = "{apiVersion: postgresql.cnpg.io/v1, kind: Pooler, metadata: {name: p}, spec: {}}";

    const result = apply(store, [deployment, pooler, secret], { ignoreUnknown: true });

    expect(outcomes(result)).toContain("Secret/s3 created");
    expect(result.objects.flatMap(({ reason }) => reason ?? [])).toEqual([
      '"Deployment" of "apps/v1" is not known here',
      "a Pooler is accepted, and not run here",
    ]);
  });

  test("rules can be left out, but not those without which an object has no name", async () => {
    const store = await openStore();
    const fiveFields = scheduledBackup.replace("0 0 3 * * *", "0 3 * * *");

    expect(apply(store, [fiveFields], { ignoredRules: ["five-field-schedule"] }).outcome).toBe("applied");
    expect(() => apply(store, [secret], { ignoredRules: ["missing-name"] })).toThrow(
      'the rule "missing-name" cannot be left out',
    );
    expect(() => apply(store, [secret], { ignoredRules: ["nonsense"] })).toThrow(
      'there is no rule "nonsense"',
    );
  });
});

describe("what cannot be changed", () => {
  test.each([
    ["Backup", backup, "name: pg", "name: other", "spec", "BackupSpec is immutable once set"],
    [
      "ScheduledBackup",
      scheduledBackup,
      "name: pg",
      "name: other",
      "spec.cluster.name",
      "cluster reference is immutable after creation",
    ],
    [
      "Secret",
      `${secret}immutable: true\n`,
      secretValue,
      "another",
      "data",
      "field is immutable when `immutable` is set",
    ],
    [
      "Secret",
      `${secret}immutable: true\n`,
      "immutable: true",
      "",
      "immutable",
      "field is immutable when `immutable` is set",
    ],
  ])("a %s", async (_kind, text, before, after, field, message) => {
    const store = await openStore();
    apply(store, [text]);
    const { version } = store;

    const result = apply(store, [text.replace(before, after)]);

    expect(result.findings).toContainEqual(expect.objectContaining({ severity: "error", field, message }));
    expect(store.version).toBe(version);
    expect(apply(store, [text.replace("namespace: prod", "namespace: prod, labels: {a: b}")]).outcome).toBe(
      "applied",
    );
  });

  test("a schedule may be changed, and a Cluster's bootstrap with a warning of what comes of it", async () => {
    const store = await openStore();
    const messageOf = ({ findings }: ApplyResult) =>
      findings.find(({ rule, severity }) => rule === "bootstrap-changed" && severity === "warning")?.message;
    apply(store, [cluster, scheduledBackup]);

    const schedule = apply(store, [scheduledBackup.replace("0 0 3", "0 0 4")]);
    const bootstrap = apply(store, [`${cluster}  bootstrap: {initdb: {database: other}}\n`]);

    expect(outcomes(schedule)).toEqual(["ScheduledBackup/nightly configured"]);
    expect(outcomes(bootstrap)).toEqual(["Cluster/pg configured"]);
    expect(messageOf(bootstrap)).toMatch(
      /^the cluster has no data yet: its bootstrap is done as it says now/,
    );

    store.setStatus(pg, { systemID: "7300000000000000001" }, {});
    const late = apply(store, [`${cluster}  bootstrap: {initdb: {database: another}}\n`]);

    expect(messageOf(late)).toBe("the cluster is there already: what changes in its bootstrap has no effect");
  });

  test("an object that is being deleted, and what is put into such a namespace", async () => {
    const store = await openStore();
    apply(store, [namespace, secret]);
    store.delete({ kind: "Namespace", namespace: "", name: "prod" });

    expect(rules(apply(store, [namespace]))).toEqual(["error being-deleted"]);
    expect(rules(apply(store, [objectStore]))).toContain("error namespace-ending");
  });
});

describe("what other objects say", () => {
  test("a reference to what is stored is found", async () => {
    const store = await openStore();
    apply(store, [secret, objectStore, cluster]);

    expect(rules(apply(store, [backup, scheduledBackup]))).toEqual([]);
  });

  test("a reference to what is not there only warns", async () => {
    const store = await openStore();

    const result = apply(store, [cluster]);

    expect(result.outcome).toBe("applied");
    expect(rules(result)).toContain("warning missing-reference");
  });

  test("an error that another manifest may take back only warns, and says why", async () => {
    const store = await openStore();
    apply(store, [secret, objectStore.replaceAll("prod", "other")]);

    const result = apply(store, [cluster]);

    expect(result.outcome).toBe("applied");
    expect(result.findings).toContainEqual(
      expect.objectContaining({
        rule: "missing-reference",
        severity: "warning",
        message:
          'ObjectStore "store" is not in namespace "prod", where it is looked for; there is one in "other"',
        note: "an error for lint; here what is missing may still come",
      }),
    );
  });

  test("what contradicts a stored object only warns, and what contradicts the same application is refused", async () => {
    const store = await openStore();
    const withoutPlugin = cluster.replace(/ {2}plugins:[\s\S]*/, "");
    apply(store, [withoutPlugin]);

    const against = apply(store, [backup]);
    const together = apply(store, [withoutPlugin, backup.replace("name: once", "name: twice")]);

    expect(against.outcome).toBe("applied");
    expect(against.findings).toContainEqual(
      expect.objectContaining({
        rule: "backup-method",
        severity: "warning",
        note: "an error for lint; here the stored objects may still change",
      }),
    );
    expect(together.outcome).toBe("refused");
  });

  test("two that would write into one archive are refused, also when one is stored", async () => {
    const store = await openStore();
    apply(store, [secret, objectStore, cluster]);

    const result = apply(store, [
      cluster
        .replace("name: pg", "name: other")
        .replace("{barmanObjectName: store}", "{barmanObjectName: store, serverName: pg}"),
    ]);

    expect(result.outcome).toBe("refused");
    expect(rules(result)).toContain("error two-writers");
  });

  test("of stored objects only that is said which the application brings about", async () => {
    const store = await openStore();
    apply(store, [secret, objectStore, cluster, backup.replace("namespace: prod", "namespace: other")]);

    const unrelated = apply(store, [objectStore.replace("30d", "40d")]);
    const without = apply(store, [secret.replace("KEY:", "KEIN:")]);

    expect(rules(unrelated)).toEqual([]);
    expect(without.outcome).toBe("applied");
    expect(without.findings).toContainEqual(
      expect.objectContaining({
        rule: "missing-reference",
        severity: "warning",
        file: "(stored)",
        message: 'Secret "s3" has no key "KEY"',
      }),
    );
  });
});

test("everything together has nothing to say of itself", async () => {
  const store = await openStore();

  expect(rules(apply(store, allManifests)).filter((text) => !text.startsWith("info"))).toEqual([]);
});
