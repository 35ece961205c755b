import { ManualClock } from "../../loop/testing/manual-clock.ts";
import type { Again } from "../../loop/reconciler.ts";
import type { ResourceStore } from "../../resources/resource-store.ts";
import type { Resource, ResourceDraft } from "../../resources/resource.ts";
import { temporaryResources } from "../../resources/testing/temporary-resources.ts";
import { createExternalSecretReconciler } from "../external-secret-reconciler.ts";
import { statusOf } from "../external-secret-status.ts";
import { createSecretProviders, secretProviderSettings } from "../provider-settings.ts";
import type { SecretProviders } from "../secret-provider.ts";
import { folderWith, neverAborted } from "./secret-folder.ts";

/** Of the ExternalSecret that most tests are about, and of its Secret. */
export const key = { kind: "ExternalSecret", namespace: "shop", name: "r2" };
export const secretKey = { kind: "Secret", namespace: "shop", name: "r2" };
/** Two fields of one secret. */
export const both = [
  { secretKey: "id", remoteRef: { key: "r2", property: "id" } },
  { secretKey: "key", remoteRef: { key: "r2", property: "key" } },
];

export function draft(
  spec: Readonly<Record<string, unknown>>,
  more: Partial<ResourceDraft> = {},
): ResourceDraft {
  return {
    apiVersion: "external-secrets.io/v1",
    kind: "ExternalSecret",
    namespace: "shop",
    name: "r2",
    content: { spec },
    ...more,
  };
}

export interface Bench {
  readonly store: ResourceStore;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly providers: SecretProviders;
  /** Until it says when it wants to look again. */
  reconcile(which?: typeof key): Promise<Again>;
  secret(name?: string): Resource | undefined;
  /** Decoded. */
  values(name?: string): Readonly<Record<string, string>> | undefined;
  ready(): string | undefined;
  events(): readonly string[];
}

/** A real store, and a directory as the source of every value. */
export async function bench(
  files: Readonly<Record<string, string>> = { r2: '{"id": "AKIA", "key": "s3cret"}' },
): Promise<Bench> {
  const resources = await temporaryResources();
  const clock = new ManualClock();
  const store = await resources.open(clock);
  const folder = await folderWith(files);
  const providers = createSecretProviders(
    secretProviderSettings.parse({
      stores: {
        files: { kind: "directory", path: folder },
        script: { kind: "command", command: ["{key}"] },
      },
      default: "files",
    }),
    { directory: folder, environment: { PATH: process.env["PATH"] } },
  );
  const reconciler = createExternalSecretReconciler({ store, providers, clock, signal: neverAborted });
  const get = (name = "r2") => store.get({ ...secretKey, name });
  return {
    store,
    clock,
    folder,
    providers,
    reconcile: async (which = key) => {
      for (;;) {
        const again = await reconciler.reconcile(which, neverAborted);
        if (again === "never" || again.afterMs > 500) return again;
      }
    },
    secret: get,
    values: (name) => {
      const data = get(name)?.content["data"];
      if (data === undefined) return undefined;
      return Object.fromEntries(
        Object.entries(data as Readonly<Record<string, string>>).map(([name, value]) => [
          name,
          Buffer.from(value, "base64").toString(),
        ]),
      );
    },
    ready: () => {
      const object = store.get(key);
      const [condition] = (object && statusOf(object).conditions) ?? [];
      return condition && `${condition.type} ${condition.status} ${condition.reason}: ${condition.message}`;
    },
    events: () =>
      store.events({ about: key }).map(({ type, reason, message }) => `${type} ${reason}: ${message}`),
  };
}
