import { describe, expect, test } from "vitest";
import { z } from "zod";
import { backup, cluster, objectStore, secret, secretValue } from "../control/admission/testing/manifests.ts";
import { draftOf, ownerReferenceTo } from "../control/resources/resource.ts";
import { defineRoute } from "./api-route.ts";
import { largestBodyBytes } from "./read-request.ts";
import { applyTexts, jsonOf, testApi } from "./testing/test-api.ts";

const clusters = "/apis/postgresql.cnpg.io/v1/namespaces/prod/clusters";
const secrets = "/api/v1/namespaces/prod/secrets";

const json = (method: string, body: unknown): RequestInit => ({ method, body: JSON.stringify(body) });
const namesIn = (list: Record<string, unknown>) =>
  (list["items"] as { metadata: { name: string; namespace: string } }[]).map(
    ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
  );

describe("objects at Kubernetes' addresses", () => {
  test("one is read as Kubernetes writes it", async () => {
    const { app, store } = await testApi();
    applyTexts(store, cluster);
    store.setStatus(
      { kind: "Cluster", namespace: "prod", name: "pg" },
      { phase: "Cluster in healthy state" },
      {},
    );

    const response = await app.request(`${clusters}/pg`);

    expect(response.status).toBe(200);
    expect(await jsonOf(response)).toMatchObject({
      apiVersion: "postgresql.cnpg.io/v1",
      kind: "Cluster",
      metadata: { name: "pg", namespace: "prod", generation: 1, labels: { team: "data" } },
      spec: { instances: 1 },
      status: { phase: "Cluster in healthy state" },
    });
  });

  test("lists are of a namespace, or of all of them, and carry the version that they are of", async () => {
    const { app, store } = await testApi();
    applyTexts(store, cluster, cluster.replace("namespace: prod", "namespace: test"));

    const within = await jsonOf(await app.request(clusters));
    const all = await jsonOf(await app.request("/apis/postgresql.cnpg.io/v1/clusters"));

    expect(within).toMatchObject({ kind: "ClusterList", metadata: { resourceVersion: store.version } });
    expect(namesIn(within)).toEqual(["prod/pg"]);
    expect(namesIn(all)).toEqual(["prod/pg", "test/pg"]);
    expect(namesIn(await jsonOf(await app.request("/api/v1/namespaces")))).toEqual([
      "undefined/prod",
      "undefined/test",
    ]);
  });

  test.each([
    ["labelSelector=team=data", ["prod/pg"]],
    ["labelSelector=team!=data", ["prod/other"]],
    ["labelSelector=!team", ["prod/other"]],
    ["labelSelector=team in (data,web)", ["prod/pg"]],
    ["fieldSelector=metadata.name=other", ["prod/other"]],
  ])("%s selects", async (query, names) => {
    const { app, store } = await testApi();
    applyTexts(store, cluster, cluster.replace("name: pg", "name: other").replace("{team: data}", "{}"));

    expect(namesIn(await jsonOf(await app.request(`${clusters}?${encodeURI(query)}`)))).toEqual(names);
  });

  test("one is made, replaced and deleted, with the warnings of lint beside it", async () => {
    const { app } = await testApi();
    const manifest = {
      apiVersion: "postgresql.cnpg.io/v1",
      kind: "Cluster",
      metadata: { name: "pg" },
      spec: { storage: { size: "1Gi" } },
    };

    const made = await app.request(clusters, json("POST", manifest));
    const again = await app.request(clusters, json("POST", manifest));
    const object = (await made.clone().json()) as { metadata: { resourceVersion: string; uid: string } };
    const replaced = await app.request(
      `${clusters}/pg`,
      json("PUT", { ...manifest, metadata: object.metadata, spec: { ...manifest.spec, instances: 2 } }),
    );
    const late = await app.request(
      `${clusters}/pg`,
      json("PUT", { ...manifest, metadata: object.metadata, spec: { ...manifest.spec, instances: 3 } }),
    );
    const other = await app.request(`${clusters}/pg?uid=another`, { method: "DELETE" });
    const deleted = await app.request(`${clusters}/pg?uid=${object.metadata.uid}`, { method: "DELETE" });

    expect([made, again, replaced, late, other, deleted].map(({ status }) => status)).toEqual([
      201, 409, 200, 409, 409, 200,
    ]);
    expect(made.headers.get("warning")).toContain("archives nowhere");
    expect(await jsonOf(again)).toMatchObject({
      reason: "AlreadyExists",
      tidemark: { code: "resource-exists" },
    });
    expect(await jsonOf(late)).toMatchObject({ reason: "Conflict", tidemark: { code: "resource-conflict" } });
    expect(await jsonOf(deleted)).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { kind: "Cluster", name: "pg", uid: object.metadata.uid },
    });
    expect((await app.request(`${clusters}/pg`)).status).toBe(404);
  });

  test("one that waits for its finalizers is accepted for deletion", async () => {
    const { app, store } = await testApi();
    applyTexts(store, secret);
    const key = { kind: "Secret", namespace: "prod", name: "s3" };
    store.update({ ...draftOf(store.require(key)), finalizers: ["example.dev/wait"] });

    const response = await app.request(`${secrets}/s3`, { method: "DELETE" });

    expect(response.status).toBe(202);
    expect(await jsonOf(response)).toMatchObject({
      message: "marked; it goes when its finalizers are done: example.dev/wait",
    });
  });

  test("what lint refuses is refused with all the reasons, as Kubernetes gives them", async () => {
    const { app, store } = await testApi();

    const response = await app.request(
      clusters,
      json("POST", {
        apiVersion: "postgresql.cnpg.io/v1",
        kind: "Cluster",
        metadata: { name: "pg" },
        spec: { instanzes: 1 },
      }),
    );

    expect(response.status).toBe(422);
    expect(await jsonOf(response)).toMatchObject({
      kind: "Status",
      status: "Failure",
      reason: "Invalid",
      message: `spec.storage.size is not given: CloudNativePG refuses it; "spec.instanzes" is not a field of a Cluster`,
      details: {
        causes: expect.arrayContaining([
          expect.objectContaining({ reason: "missing-storage-size" }),
          expect.objectContaining({ reason: "unknown-field", field: "spec.instanzes" }),
        ]) as unknown,
      },
      tidemark: { code: "manifest", hint: "Write spec.storage.size: 10Gi, for example." },
    });
    expect(store.version).toBe("0");
  });
});

describe("Secrets", () => {
  test("show their values only to whoever asks for them, and that is logged", async () => {
    const { app, store, lines } = await testApi();
    applyTexts(store, secret);
    const encoded = Buffer.from(secretValue).toString("base64");

    const hidden = await Promise.all(
      [`${secrets}/s3`, secrets, "/api/v1/secrets", `${secrets}?reveal=false`].map(async (path) =>
        (await app.request(path)).text(),
      ),
    );
    const written = await app.request(
      `${secrets}/s3`,
      json("PUT", {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "s3" },
        stringData: { KEY: secretValue },
      }),
    );

    for (const text of [...hidden, await written.text()]) {
      expect(text).toContain('"KEY":"[redacted]"');
      expect(text).not.toContain(secretValue);
      expect(text).not.toContain(encoded);
    }
    expect(lines).toEqual([]);
    expect(await (await app.request(`${secrets}/s3?reveal=true`)).text()).toContain(encoded);
    expect(lines).toEqual(["warn the values of a Secret were shown"]);
  });

  test("cannot be written back as they are shown", async () => {
    const { app, store } = await testApi();
    applyTexts(store, secret);
    const shown = await jsonOf(await app.request(`${secrets}/s3`));

    const response = await app.request(`${secrets}/s3`, json("PUT", shown));

    expect(response.status).toBe(422);
    expect(JSON.stringify(await jsonOf(response))).toContain("redacted-value");
  });

  test("are in no answer to a request that goes wrong", async () => {
    const { app, store } = await testApi();
    applyTexts(store, secret);
    const manifest = { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } };
    const texts = await Promise.all(
      [
        json("POST", { ...manifest, data: { KEY: secretValue } }),
        json("POST", { ...manifest, stringdata: { KEY: secretValue } }),
        json("POST", { ...manifest, stringData: secretValue }),
        { method: "POST", body: `{"stringData": {"KEY": "${secretValue}"` },
        { method: "POST", body: `"${secretValue}"` },
      ].map(async (init) => {
        const response = await app.request(secrets, init);
        return `${response.status} ${await response.text()}`;
      }),
    );

    for (const text of texts) {
      expect(text).toMatch(/^4/);
      expect(text).not.toContain(secretValue);
    }
  });
});

describe("several objects at once", () => {
  const apply = "/tidemark/v1/apply";

  test("manifests are applied, and the result is the store's", async () => {
    const { app, store } = await testApi();

    const response = await app.request(
      apply,
      json("POST", { texts: [{ path: "a.yaml", text: `${secret}---\n${objectStore}` }] }),
    );

    expect(await jsonOf(response)).toMatchObject({
      outcome: "applied",
      objects: [{ kind: "Namespace" }, { kind: "Secret", outcome: "created" }, { kind: "ObjectStore" }],
    });
    expect(store.list().length).toBe(3);
  });

  test("a refusal is an answer", async () => {
    const { app } = await testApi();

    const response = await app.request(apply, json("POST", { texts: [{ path: "a.yaml", text: "kind: [" }] }));

    expect(response.status).toBe(200);
    expect(await jsonOf(response)).toMatchObject({
      outcome: "refused",
      findings: [{ rule: "unreadable", file: "a.yaml", line: 1 }],
    });
  });

  test("what would go with an object is told before it is deleted", async () => {
    const { app, store } = await testApi();
    applyTexts(store, cluster, backup, secret);
    const once = { kind: "Backup", namespace: "prod", name: "once" };
    const owner = ownerReferenceTo(store.require({ kind: "Cluster", namespace: "prod", name: "pg" }));
    store.update({ ...draftOf(store.require(once)), ownerReferences: [owner] });
    const plan = async (...objects: object[]) =>
      jsonOf(await app.request("/tidemark/v1/deletion-plan", json("POST", { objects })));

    const absent = { kind: "Secret", namespace: "prod", name: "absent" };
    expect(await plan({ kind: "Cluster", namespace: "prod", name: "pg" }, absent)).toEqual({
      missing: [absent],
      alsoDeleted: [once],
    });
    expect(await plan({ kind: "Namespace", namespace: "", name: "prod" })).toMatchObject({
      alsoDeleted: expect.arrayContaining([
        once,
        { kind: "Secret", namespace: "prod", name: "s3" },
      ]) as unknown,
    });
  });
});

describe("requests that are not understood", () => {
  test.each([
    ["an address that is none", "/nowhere", {}, 404, 'there is nothing at "/nowhere" for GET'],
    [
      "a parameter that is none",
      `${clusters}?labelselector=a`,
      {},
      400,
      'there is no parameter "labelselector" here',
    ],
    [
      "a parameter given twice",
      `${clusters}?watch=1&watch=0`,
      {},
      400,
      'the parameter "watch" is given twice',
    ],
    ["a flag that is none", `${clusters}?watch=maybe`, {}, 400, 'parameter "watch": '],
    [
      "reveal where nothing is secret",
      `${clusters}?reveal=true`,
      {},
      400,
      'there is no parameter "reveal" here',
    ],
    ["a selector that is none", `${clusters}?labelSelector=a%20b`, {}, 400, '"a b" is no label selector'],
    [
      "a field that is not selected by",
      `${clusters}?fieldSelector=spec.x=1`,
      {},
      400,
      '"spec.x=1" is no field selector',
    ],
    ["a body that is no JSON", clusters, { method: "POST", body: "{" }, 400, "the request's body is no JSON"],
    [
      "a body of another form",
      "/tidemark/v1/apply",
      { method: "POST", body: '{"texts": [{"path": 1}]}' },
      400,
      'field "texts.0.path": ',
    ],
    [
      "a body that is too long",
      "/tidemark/v1/apply",
      { method: "POST", body: " ".repeat(largestBodyBytes + 1) },
      400,
      "the request's body is longer than 16.0 MiB",
    ],
  ])("%s", async (_what, path, init, status, message) => {
    const { app } = await testApi();

    const response = await app.request(path, init);

    expect(response.status).toBe(status);
    expect((await jsonOf(response))["message"]).toContain(message);
  });
});

describe("routes of others", () => {
  const brokenRoute = defineRoute({
    method: "POST",
    path: "/tidemark/v1/things/{name}",
    id: "touchThing",
    summary: "Touch a thing",
    query: z.strictObject({ often: z.string().optional() }),
    body: { name: "Touch", schema: z.strictObject({ hard: z.boolean() }) },
    answer: { name: "Thing", schema: z.object({ name: z.string() }) },
    handle({ params, query, body }) {
      if (body.hard) throw new Error(`the password is ${secretValue}`);
      return Response.json({ ...params, ...query, ...body });
    },
  });

  test("get their parts read, and are refused what does not fit", async () => {
    const { app } = await testApi({ routes: [brokenRoute] });
    const touch = async (path: string, body: unknown) =>
      (await app.request(`/tidemark/v1/things/${path}`, json("POST", body))).text();

    expect(JSON.parse(await touch("a%20b?often=yes", { hard: false }))).toEqual({
      name: "a b",
      often: "yes",
      hard: false,
    });
    expect(await touch("a", { hard: 1 })).toContain("BadRequest");
    expect(await touch("a?x=1", { hard: false })).toContain("BadRequest");
  });

  test("a bug is logged, and says nothing of itself to the client", async () => {
    const { app, lines } = await testApi({ routes: [brokenRoute] });

    const response = await app.request("/tidemark/v1/things/a", json("POST", { hard: true }));

    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain(secretValue);
    expect(lines).toEqual(["error a request failed"]);
  });
});

test("events are listed, of everything or of one object", async () => {
  const { app, store } = await testApi();
  applyTexts(store, cluster, secret);
  const about = store.require({ kind: "Cluster", namespace: "prod", name: "pg" });
  const other = store.require({ kind: "Secret", namespace: "prod", name: "s3" });
  store.recordEvent({ about, type: "Normal", reason: "Made", message: "made" });
  store.recordEvent({ about: other, type: "Warning", reason: "Used", message: "used" });
  const reasons = async (query: string) => {
    const { items } = (await jsonOf(await app.request(`/tidemark/v1/events${query}`))) as {
      items: { reason: string }[];
    };
    return items.map(({ reason }) => reason);
  };

  expect(await reasons("")).toEqual(["Made", "Used"]);
  expect(await reasons("?namespace=prod&kind=clusters&name=pg")).toEqual(["Made"]);
  expect(await reasons("?namespace=elsewhere")).toEqual([]);
});

test("it says what it is and that it lives", async () => {
  const { app } = await testApi();

  expect(await jsonOf(await app.request("/healthz"))).toEqual({ status: "ok" });
  expect(await jsonOf(await app.request("/tidemark/v1/version"))).toMatchObject({ pid: process.pid });
});
