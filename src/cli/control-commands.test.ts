import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  allManifests,
  backup,
  cluster,
  objectStore,
  secret,
  secretValue,
} from "../control/admission/testing/manifests.ts";
import { draftOf, ownerReferenceTo } from "../control/resources/resource.ts";
import { controlUnderTest, type ControlUnderTest } from "./testing/control-commands.ts";

const pg = { kind: "Cluster", namespace: "prod", name: "pg" };
const encoded = Buffer.from(secretValue).toString("base64");

async function applied(...texts: readonly string[]): Promise<ControlUnderTest> {
  const control = await controlUnderTest();
  const outcome = await control.run(["apply", "-f", "-"], texts.join("---\n"));
  expect(outcome.code).toBe(0);
  return control;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition() && tries < 500; tries++) await sleep(20);
  expect(condition()).toBe(true);
}

describe("apply", () => {
  test("says of each object what became of it, and of the manifests what there is to say", async () => {
    const { run, folder, store } = await controlUnderTest();
    await writeFile(join(folder, "a.yaml"), [secret, objectStore, cluster].join("---\n"));

    const first = await run(["apply", "-f", join(folder, "a.yaml")]);
    const second = await run(["apply", "-f", join(folder, "a.yaml")]);
    await writeFile(join(folder, "a.yaml"), cluster.replace("instances: 1", "instances: 2"));
    const dry = await run(["apply", "-f", join(folder, "a.yaml"), "--dry-run", "--diff"]);

    expect(first).toMatchObject({
      code: 0,
      stdout: "namespace/prod created\nsecret/s3 created\nobjectstore/store created\ncluster/pg created\n",
    });
    expect(first.stderr).toContain('info: namespace "prod" does not exist: it is made [namespace-made]');
    expect(second).toEqual({
      code: 0,
      stdout: "secret/s3 unchanged\nobjectstore/store unchanged\ncluster/pg unchanged\n",
      stderr: "",
    });
    expect(dry.stdout).toBe("cluster/pg configured (server dry run)\n  ~ spec.instances: 1 -> 2\n");
    expect(store.require(pg).content["spec"]).toMatchObject({ instances: 1 });
  });

  test("refuses all when one is wrong, and ends with the status for that", async () => {
    const { run, store } = await controlUnderTest();

    const { code, stdout, stderr } = await run(
      ["apply", "-f", "-"],
      `${secret}---\n${cluster.replace("instances", "instanzes")}`,
    );

    expect([code, stdout]).toEqual([57, ""]);
    expect(stderr).toContain('-:10:3: error: "spec.instanzes" is not a field of a Cluster [unknown-field]');
    expect(stderr).toContain("tidemark: nothing was applied: the manifests have 1 error\n");
    expect(store.version).toBe("0");
  });

  test("shows that a Secret's value changes, and not which it was or is", async () => {
    const { run } = await applied(secret);
    const changed = secret.replace(secretValue, "another-4711");

    const outcomes = [
      await run(["apply", "-f", "-", "--dry-run", "--diff"], changed),
      await run(["apply", "-f", "-", "--diff", "-o", "json"], changed),
      await run(["apply", "-f", "-"], changed.replace("stringData", "stringdata")),
      await run(["apply", "-f", "-"], changed.replace("stringData: {", "stringData: {{")),
    ];

    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 57, 57]);
    expect(outcomes[0]?.stdout).toBe(
      'secret/s3 configured (server dry run)\n  ~ data.KEY: "[redacted]" -> "[redacted]"\n',
    );
    for (const value of [
      secretValue,
      "another-4711",
      encoded,
      Buffer.from("another-4711").toString("base64"),
    ]) {
      expect(JSON.stringify(outcomes)).not.toContain(value);
    }
  });

  test("gives the whole result as JSON", async () => {
    const { run } = await controlUnderTest();

    const { stdout } = await run(["apply", "-f", "-", "-o", "json"], secret);

    expect(JSON.parse(stdout)).toMatchObject({
      outcome: "applied",
      objects: [
        { kind: "Namespace", name: "prod" },
        { kind: "Secret", name: "s3", outcome: "created" },
      ],
    });
  });

  test("takes a namespace for objects without one, and refuses those of another", async () => {
    const { run, store } = await controlUnderTest();

    const there = await run(["apply", "-f", "-", "-n", "test"], secret.replace(", namespace: prod", ""));
    const elsewhere = await run(["apply", "-f", "-", "-n", "test"], secret);

    expect([there.code, elsewhere.code]).toEqual([0, 57]);
    expect(elsewhere.stderr).toContain("hint: You must pass --namespace=prod to perform this operation.");
    expect(store.list({ kind: "Secret" }).map(({ metadata }) => metadata.namespace)).toEqual(["test"]);
  });

  test("without a control plane says how to get one", async () => {
    const { run, server, socketPath } = await controlUnderTest();
    await server[Symbol.asyncDispose]();

    const { code, stderr } = await run(["get", "clusters"]);

    expect(code).toBe(53);
    expect(stderr).toBe(
      `tidemark: could not reach the control plane at "${socketPath}": it does not run\nhint: Start it with: tidemark up.\n`,
    );
  });
});

describe("get", () => {
  test("shows CloudNativePG's columns", async () => {
    const { run, store } = await applied(cluster, secret, backup);
    store.setStatus(
      pg,
      { instances: 1, readyInstances: 1, phase: "Cluster in healthy state", currentPrimary: "pg-1" },
      {},
    );
    const columns = async (...words: string[]) =>
      (await run(["get", ...words])).stdout.replaceAll(/\b\d+s\b/g, "AGO").replaceAll(/ +\n/g, "\n");

    expect(await columns("clusters", "-n", "prod")).toMatch(
      /^NAME {3}AGE +INSTANCES {3}READY {3}STATUS +PRIMARY\npg {5}AGO +1 {11}1 {7}Cluster in healthy state {3}pg-1\n$/,
    );
    expect(await columns("backup", "once", "-n", "prod")).toMatch(
      /^NAME {3}AGE +CLUSTER {3}METHOD {3}PHASE {3}ERROR\nonce {3}AGO +pg {8}plugin\n$/,
    );
    expect(await columns("secrets", "-A")).toMatch(
      /^NAMESPACE {3}NAME {3}TYPE {5}DATA {3}AGE\nprod {8}s3 {5}Opaque {3}2 {6}AGO\n$/,
    );
    expect(await columns("clusters,backups", "-n", "prod")).toMatch(
      /^NAME [\s\S]*\ncluster\/pg [\s\S]*\n\nNAME [\s\S]*\nbackup\/once /,
    );
    expect(await columns("all", "-n", "prod")).toMatch(/cluster\/pg [\s\S]*backup\/once/);
    expect(await columns("ns")).toMatch(/^NAME {3}STATUS {3}AGE\nprod {3}Active {3}AGO\n$/);
  });

  test("shows objects as YAML, JSON, names and by templates", async () => {
    const { run } = await applied(cluster, secret);
    const get = async (...words: string[]) => (await run(["get", ...words, "-n", "prod"])).stdout;

    expect(parse(await get("cluster", "pg", "-o", "yaml"))).toMatchObject({
      kind: "Cluster",
      metadata: { name: "pg" },
    });
    expect(JSON.parse(await get("clusters", "-o", "json"))).toMatchObject({
      kind: "List",
      items: [{ kind: "Cluster", metadata: { name: "pg" } }],
    });
    expect(await get("clusters,secrets", "-o", "name")).toBe("cluster/pg\nsecret/s3\n");
    expect(await get("cluster/pg", "-o", "jsonpath={.spec.storage.size}")).toBe("1Gi");
    expect(await get("clusters", "-o", "jsonpath={.items[*].metadata.labels.team}")).toBe("data");
  });

  test("sorts where it is told to, and selects by labels", async () => {
    const { run } = await applied(
      cluster,
      cluster
        .replace("name: pg", "name: big")
        .replace("instances: 1", "instances: 3")
        .replace("team: data", "team: web"),
    );
    const names = async (...words: string[]) =>
      (await run(["get", "clusters", "-n", "prod", "-o", "name", ...words])).stdout;

    expect(await names()).toBe("cluster/big\ncluster/pg\n");
    expect(await names("--sort-by=.spec.instances")).toBe("cluster/pg\ncluster/big\n");
    expect(await names("-l", "team=web")).toBe("cluster/big\n");
  });

  test("never shows a Secret's values, unless --reveal", async () => {
    const { run } = await applied(secret);
    const forms = [["-o", "yaml"], ["-o", "json"], ["-o", "jsonpath={.data}"], ["-o", "wide"], []];

    for (const form of forms) {
      const { stdout, stderr } = await run(["get", "secret", "s3", "-n", "prod", ...form]);
      expect(stdout + stderr).not.toContain(encoded);
      expect(stdout + stderr).not.toContain(secretValue);
    }
    const shown = await run(["get", "secret", "s3", "-n", "prod", "-o", "yaml", "--reveal"]);
    expect(shown.stdout).toContain(encoded);
    expect((await run(["describe", "secret", "s3", "-n", "prod"])).stdout).not.toContain(encoded);
  });

  test("says what is not there", async () => {
    const { run } = await controlUnderTest();

    expect(await run(["get", "clusters"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "No resources found in default namespace.\n",
    });
    expect(await run(["get", "cluster", "pg"])).toMatchObject({ code: 58 });
    expect(await run(["get", "clutsers"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean "clusters"?') as string,
    });
    expect(await run(["get", "clusters", "-o", "jsonpath={.a"])).toMatchObject({ code: 2 });
    expect(await run(["get", "clusters", "-o", "xml"])).toMatchObject({ code: 2 });
    expect(await run(["get", "cluster", "pg", "-A"])).toMatchObject({ code: 2 });
  });

  test("-w goes on with what changes, and ends well with Ctrl-C", async () => {
    const { start, store } = await applied(cluster);
    const { child, output } = start(["get", "clusters", "-n", "prod", "-w"]);
    await until(() => output().includes("\npg "));

    store.setStatus(pg, { phase: "Failing over" }, {});
    await until(() => output().includes("Failing over"));
    child.kill("SIGINT");

    expect(await once(child, "exit")).toEqual([0, null]);
    expect(output().match(/NAME/g)?.length).toBe(1);
  });
});

test("describe tells everything of an object", async () => {
  const { run, store } = await applied(cluster);
  store.setStatus(
    pg,
    {
      phase: "Setting up primary",
      conditions: [
        {
          type: "Ready",
          status: "False",
          reason: "ClusterIsNotReady",
          message: "not yet",
          lastTransitionTime: new Date().toISOString(),
        },
      ],
    },
    {},
  );
  store.recordEvent({ about: store.require(pg), type: "Warning", reason: "Slow", message: "it takes long" });

  const { stdout } = await run(["describe", "cluster", "pg", "-n", "prod"]);

  expect(stdout).toMatch(/^Name: +pg\nNamespace: +prod\nKind: +Cluster \(postgresql\.cnpg\.io\/v1\)\n/);
  expect(stdout).toContain("\nSpec:\n  instances: 1\n");
  expect(stdout).toContain("\nStatus:\n  phase: Setting up primary\n");
  expect(stdout).toMatch(
    /\nConditions:\n {2}TYPE +STATUS +REASON +SINCE +MESSAGE\n {2}Ready +False +ClusterIsNotReady +\ds +not yet\n/,
  );
  expect(stdout).toMatch(
    /\nEvents:\n {2}LAST SEEN +TYPE +REASON +MESSAGE\n {2}\ds +Warning +Slow +it takes long\n/,
  );
});

describe("delete", () => {
  test("shows what goes and what stays, and asks before it does anything", async () => {
    const { run, store } = await applied(cluster, backup);
    const once = { kind: "Backup", namespace: "prod", name: "once" };
    const owner = ownerReferenceTo(store.require(pg));
    store.update({ ...draftOf(store.require(once)), ownerReferences: [owner] });
    const plan = `To be deleted:
  cluster/pg in prod
and with them, because they own it:
  backup/once in prod
A Cluster goes with its servers and their data. Backups and WAL in its object stores stay.
Of a Backup only the object goes: the stored data stays, and can be restored from (--purge deletes it).
`;

    const asked = await run(["delete", "cluster", "pg", "-n", "prod"]);
    const dry = await run(["delete", "cluster", "pg", "-n", "prod", "--dry-run"]);

    expect(asked.code).toBe(2);
    expect(asked.stderr.startsWith(plan)).toBe(true);
    expect(dry).toEqual({ code: 0, stdout: "", stderr: plan });
    expect(store.get(once)).toBeDefined();

    const done = await run(["delete", "cluster/pg", "-n", "prod", "--yes"]);

    expect(done).toMatchObject({ code: 0, stdout: "cluster/pg deleted\n" });
    expect([store.get(pg), store.get(once)]).toEqual([undefined, undefined]);
  });

  test("deletes nothing when one of them is not there, unless told not to mind", async () => {
    const { run, store } = await applied(cluster);

    const refused = await run(["delete", "cluster", "pg", "absent", "-n", "prod", "-y"]);
    const left = store.get(pg);
    const done = await run(["delete", "cluster", "pg", "absent", "-n", "prod", "-y", "--ignore-not-found"]);

    expect(refused).toMatchObject({ code: 58, stdout: "" });
    expect(left).toBeDefined();
    expect(done).toMatchObject({ code: 0, stdout: "cluster/pg deleted\n" });
  });

  test("waits until an object is gone, as long as it is told to", async () => {
    const { run, start, store } = await applied(secret);
    const key = { kind: "Secret", namespace: "prod", name: "s3" };
    store.update({ ...draftOf(store.require(key)), finalizers: ["example.dev/wait"] });

    const late = await run(["delete", "secret", "s3", "-n", "prod", "-y", "--timeout", "1"]);
    const unwaited = await run(["delete", "secret", "s3", "-n", "prod", "-y", "--no-wait"]);
    const { child, output } = start(["delete", "secret", "s3", "-n", "prod", "-y"]);
    await sleep(1000);
    expect(output()).toBe("");
    store.update({ ...draftOf(store.require(key)), finalizers: [] });

    expect(late).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("is still being deleted after 1 s") as string,
    });
    expect(unwaited.stdout).toBe("secret/s3 is being deleted\n");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(output()).toBe("secret/s3 deleted\n");
  });

  test("takes manifests too, the last one first", async () => {
    const { run, store } = await applied(...allManifests.slice(1));
    const pooler = "apiVersion: postgresql.cnpg.io/v1\nkind: Pooler\nmetadata: {name: p}\n";

    const { code, stdout } = await run(["delete", "-f", "-", "-y"], [secret, cluster, pooler].join("---\n"));

    expect([code, stdout]).toEqual([0, "cluster/pg deleted\nsecret/s3 deleted\n"]);
    expect(store.get(pg)).toBeUndefined();
  });
});

test("events are shown as kubectl shows them, and go on with -w", async () => {
  const { run, start, store } = await applied(cluster, secret);
  const record = (reason: string, about = pg) =>
    store.recordEvent({ about: store.require(about), type: "Normal", reason, message: "so it is" });
  record("Early");
  record("Early");
  record("Other", { kind: "Secret", namespace: "prod", name: "s3" });

  const all = await run(["events", "-n", "prod"]);
  const one = await run(["events", "-n", "prod", "--for", "cluster/pg", "-o", "json"]);
  const none = await run(["events"]);

  expect(all.stdout).toMatch(
    /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\ds \(x2 over \ds\) +Normal +Early +cluster\/pg +so it is\n\ds +Normal +Other +secret\/s3 +so it is\n$/,
  );
  expect(JSON.parse(one.stdout)).toMatchObject({ items: [{ reason: "Early", count: 2 }] });
  expect(none).toEqual({ code: 0, stdout: "", stderr: "No events found in default namespace.\n" });

  const { child, output } = start(["events", "-A", "-w"]);
  await until(() => output().includes("Other"));
  record("Late");
  await until(() => output().includes("Late"));
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(output().match(/Early/g)?.length).toBe(1);
});

describe("restore", () => {
  test("makes new clusters only: one that is there would be changed, and nothing restored", async () => {
    const other = cluster.replaceAll("name: pg", "name: other");
    const { run, store } = await applied(secret, objectStore, cluster, other);
    const before = store.require({ ...pg, name: "other" }).metadata.resourceVersion;

    const words = ["restore", "pg", "-n", "prod", "--to", "latest", "--as", "other", "--yes"];
    const { code, stdout, stderr } = await run(words);

    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: "",
      stderr:
        'tidemark: --as is "other", and there is a Cluster prod/other already\n' +
        "hint: A restore makes a new cluster: give it a name that none has.\n",
    });
    expect(store.require({ ...pg, name: "other" }).metadata.resourceVersion).toBe(before);
  });
});

describe("backup", () => {
  test("says that a Backup is kept when the control plane ends while it is waited for", async () => {
    const { run, store, server } = await applied(secret, objectStore, cluster);

    const running = run(["backup", "pg", "-n", "prod", "--backup-name", "one"]);
    await until(() => store.get({ kind: "Backup", namespace: "prod", name: "one" }) !== undefined);
    await sleep(500);
    await server[Symbol.asyncDispose]();
    const { code, stderr } = await running;

    expect(code).toBe(53);
    expect(stderr).toContain('could not wait any longer for Backup "one": could not reach the control plane');
    expect(stderr).toContain(
      "hint: It was asked for and is not forgotten: start the control plane with tidemark up, and tidemark get backup one -n prod shows what became of it.",
    );
  });
});
