import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../common/clock.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { createExternalSecretReconciler } from "./external-secret-reconciler.ts";
import { createSecretProviders } from "./provider-settings.ts";
import { bench, both, draft, key, secretKey } from "./testing/external-secret-bench.ts";
import { folderWith, scriptIn, writeSecretFile } from "./testing/secret-folder.ts";

describe("what is not right is said, and nothing is made", () => {
  test.each([
    [
      { data: both, target: { template: { data: { a: "{{ .id | upper }}" } } } },
      "not supported here: spec.target.template.data.a: {{ .id | upper }} is more than {{ .key }}",
    ],
    [{}, "invalid ExternalSecret: spec: either data or dataFrom should be specified"],
    [
      { data: both, refreshInterval: "soon" },
      "invalid ExternalSecret: spec.refreshInterval: not a duration such as 90s or 1h30m",
    ],
  ])("%j", async (spec, message) => {
    const { store, reconcile, secret, ready } = await bench();
    store.create(draft(spec));

    expect(await reconcile()).toBe("never");

    expect(ready()).toBe(`Ready False SecretSyncedError: ${message}`);
    expect(secret()).toBeUndefined();
  });

  test("a template that uses a value which was not fetched", async () => {
    const { store, reconcile, secret, ready, events } = await bench();
    store.create(draft({ data: both, target: { template: { data: { a: "{{ .password }}" } } } }));

    await expect(reconcile()).rejects.toMatchObject({ code: "secret-unavailable" });

    expect([secret(), ready()]).toEqual([
      undefined,
      "Ready False SecretSyncedError: could not update secret",
    ]);
    expect(events().at(-1)).toContain('template "data.a" uses "password", and there is no such value');
  });

  test("no value is in a status, an event or an error, whatever fails", async () => {
    const { store, reconcile, folder } = await bench({ plain: "hunter2", wrong: '{"id": "hunter2!"}' });
    const script = await scriptIn(folder, "fail", "echo hunter2; echo 'cannot: hunter2' >&2; exit 1");
    const specs = [
      { data: [{ secretKey: "a", remoteRef: { key: "plain", property: "id" } }] },
      { dataFrom: [{ extract: { key: "plain" } }] },
      { data: [{ secretKey: "a", remoteRef: { key: "wrong", property: "id", decodingStrategy: "Base64" } }] },
      {
        data: [{ secretKey: "a", remoteRef: { key: "plain" } }],
        target: { template: { data: { x: "{{ .b }}" } } },
      },
      { secretStoreRef: { name: "script" }, data: [{ secretKey: "a", remoteRef: { key: script } }] },
    ];
    const failures: unknown[] = [];
    for (const [index, spec] of specs.entries()) {
      store.create(draft(spec, { name: `es-${index}` }));
      failures.push(await reconcile({ ...key, name: `es-${index}` }).catch((error: unknown) => error));
    }

    expect(failures.every((failure) => failure instanceof Error)).toBe(true);
    const said = JSON.stringify([
      failures.map(String),
      store.list({ kind: "ExternalSecret" }),
      store.events(),
    ]);
    expect(said).not.toContain("hunter2");
  });
});

describe("a source that takes its time", () => {
  async function slow(clock: Clock) {
    const resources = await temporaryResources();
    const store = await resources.open();
    const folder = await folderWith({});
    const script = await scriptIn(
      folder,
      "slow",
      `echo x >> ${folder}/runs; while [ ! -e ${folder}/go ]; do sleep 0.05; done; echo value`,
    );
    const providers = createSecretProviders(
      {
        stores: {
          slow: {
            kind: "command",
            command: [script],
            take: "all",
            absentStatus: [],
            timeout: "60s",
            environment: {},
          },
        },
        default: "slow",
      },
      { directory: folder, environment: process.env },
    );
    const end = new AbortController();
    const reconciler = createExternalSecretReconciler({ store, providers, clock, signal: end.signal });
    return { store, folder, reconciler, end };
  }

  test("holds nobody up: it is looked at again, and asked once", async () => {
    const { store, folder, reconciler, end } = await slow(systemClock);
    store.create(draft({ data: [{ secretKey: "a", remoteRef: { key: "b" } }] }));

    expect(await reconciler.reconcile(key, end.signal)).toEqual({ afterMs: 500 });
    expect(await reconciler.reconcile(key, end.signal)).toEqual({ afterMs: 500 });
    expect(store.get(secretKey)).toBeUndefined();
    await writeSecretFile(folder, "go", "");
    let again = await reconciler.reconcile(key, end.signal);
    for (let tries = 0; typeof again === "object" && again.afterMs === 500 && tries < 50; tries++) {
      again = await reconciler.reconcile(key, end.signal);
    }

    expect((again as { afterMs: number }).afterMs).toBeGreaterThan(3_590_000);
    expect(store.get(secretKey)?.content).toMatchObject({ data: { a: "dmFsdWU=" } });
    expect(await readFile(join(folder, "runs"), "utf8")).toBe("x\n");
    end.abort();
  });

  test("is given up when the object is another by then, and nothing of the old one is written", async () => {
    const { store, folder, reconciler, end } = await slow(systemClock);
    store.create(draft({ data: [{ secretKey: "old", remoteRef: { key: "b" } }] }));
    expect(await reconciler.reconcile(key, end.signal)).toEqual({ afterMs: 500 });

    store.delete(key);
    store.create(draft({ data: [{ secretKey: "new", remoteRef: { key: "b" } }] }));
    await writeSecretFile(folder, "go", "");
    for (let tries = 0; store.get(secretKey) === undefined && tries < 50; tries++) {
      await reconciler.reconcile(key, end.signal);
    }

    expect(Object.keys(store.require(secretKey).content["data"] as object)).toEqual(["new"]);
    end.abort();
  });
});
