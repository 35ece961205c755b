import { throwIfAborted } from "../../common/abort.ts";
import type { Clock } from "../../common/clock.ts";
import { Semaphore } from "../../common/concurrency.ts";
import { describeError, EngineError } from "../../common/errors.ts";
import { externalSecretProblems } from "../../manifest/external-secret-problems.ts";
import {
  externalSecretSpec,
  targetSecretName,
  type ExternalSecretSpec,
} from "../../manifest/kinds/external-secret.ts";
import { formatPath } from "../../manifest/manifest-object.ts";
import type { Again, Reconciler } from "../loop/reconciler.ts";
import type { ResourceChange, ResourceStore } from "../resources/resource-store.ts";
import { keyId, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { failedStatus, statusOf } from "./external-secret-status.ts";
import { Fetches } from "./fetches.ts";
import { fetchValues, type FetchedValues } from "./fetch-values.ts";
import { decideRefresh, syncedVersionOf } from "./refresh.ts";
import type { SecretProviders } from "./secret-provider.ts";
import { secretNameOf, writeSecret, type Failure } from "./write-secret.ts";

export interface ExternalSecretReconcilerOptions {
  readonly store: ResourceStore;
  readonly providers: SecretProviders;
  readonly clock: Clock;
  /** Of the control plane: what is being fetched ends with it. */
  readonly signal: AbortSignal;
}

/**
 * Makes and refreshes the Secrets of ExternalSecrets from providers of this machine. Sources are asked in the background;
 * what follows an answer (Secret, status) is written at once, from the objects as they are then.
 */
export function createExternalSecretReconciler(options: ExternalSecretReconcilerOptions): Reconciler {
  return new ExternalSecretReconciler(options);
}

/** Sources that are asked at the same time. */
const concurrentFetches = 4;

/** Between two looks at a fetch. */
const fetchLookMs = 500;

/** Until another ExternalSecret may have let go of what this one wants. */
const laterMs = 60_000;

class ExternalSecretReconciler implements Reconciler {
  readonly kind = "ExternalSecret";
  readonly #store: ResourceStore;
  readonly #providers: SecretProviders;
  readonly #clock: Clock;
  readonly #fetches: Fetches<FetchedValues>;
  readonly #gate = new Semaphore(concurrentFetches);

  constructor({ store, providers, clock, signal }: ExternalSecretReconcilerOptions) {
    this.#store = store;
    this.#providers = providers;
    this.#clock = clock;
    this.#fetches = new Fetches(clock, signal);
  }

  affectedBy({ resource }: ResourceChange): readonly ResourceKey[] {
    if (resource.kind !== "Secret") return [];
    const { namespace, name } = resource.metadata;
    return this.#store
      .list({ kind: this.kind, namespace })
      .filter((external) => secretNameOf(external) === name)
      .map(keyOf);
  }

  async reconcile(key: ResourceKey, signal: AbortSignal): Promise<Again> {
    const external = this.#store.get(key);
    // Its Secret, if it owns one, goes with it.
    if (external === undefined || external.metadata.deletionTimestamp !== undefined) {
      this.#fetches.drop(keyId(key));
      return "never";
    }
    const spec = this.#specOf(external);
    if (typeof spec === "string") return this.#fail(external, { message: spec, detail: spec });

    const version = syncedVersionOf(external.metadata);
    const decision = decideRefresh({
      spec,
      version,
      status: statusOf(external),
      existing: this.#secretOf(external, spec),
      now: this.#clock.now(),
    });
    if (decision.kind === "wait") {
      this.#fetches.drop(keyId(key));
      return decision.again;
    }

    const outcome = await this.#fetches.look(
      keyId(key),
      `${external.metadata.uid} ${version}`,
      async (fetching) =>
        this.#gate.run(async () => {
          throwIfAborted(fetching);
          return fetchValues(spec, this.#providers, fetching);
        }),
    );
    throwIfAborted(signal);
    if (outcome.kind === "running") return { afterMs: fetchLookMs };
    if (outcome.kind === "failed") {
      const detail = describeError(outcome.error);
      this.#fail(external, { message: "could not get secret data from provider", detail });
      throw outcome.error;
    }
    return this.#write(external, spec, version, outcome.value);
  }

  /** Nothing waits from here on, so what is read stays true until all is written. */
  #write(before: Resource, spec: ExternalSecretSpec, version: string, fetched: FetchedValues): Again {
    const external = this.#store.get(keyOf(before));
    if (external === undefined) return "never";
    const isSame =
      external.metadata.uid === before.metadata.uid && syncedVersionOf(external.metadata) === version;
    if (!isSame) return { afterMs: 0 };
    for (const message of fetched.missing) {
      this.#store.recordEvent({ about: external, type: "Normal", reason: "MissingProviderSecret", message });
    }
    const written = writeSecret({
      store: this.#store,
      external,
      spec,
      values: fetched.values,
      version,
      now: this.#clock.now(),
    });
    if (written.kind === "done") return written.again;
    this.#fail(external, written.failure);
    switch (written.retry) {
      case "on-change":
        return "never";
      case "later":
        return { afterMs: laterMs };
      case "at-once":
        throw new EngineError("secret-unavailable", written.failure.detail);
    }
  }

  /** What it says, or why nothing can come of it, in words. */
  #specOf(external: Resource): ExternalSecretSpec | string {
    const parsed = externalSecretSpec.safeParse(external.content["spec"]);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const path = (issue?.path ?? []).filter((step) => typeof step !== "symbol");
      return `invalid ExternalSecret: ${formatPath(["spec", ...path])}: ${issue?.message ?? "not understood"}`;
    }
    const [problem] = externalSecretProblems(parsed.data);
    if (problem === undefined) return parsed.data;
    const what = problem.kind === "invalid" ? "invalid ExternalSecret" : "not supported here";
    return `${what}: ${formatPath(problem.path)}: ${problem.message}`;
  }

  #secretOf(external: Resource, spec: ExternalSecretSpec): Resource | undefined {
    const { namespace, name } = external.metadata;
    return this.#store.get({ kind: "Secret", namespace, name: targetSecretName(name, spec) });
  }

  #fail(external: Resource, { message, detail }: Failure): "never" {
    this.#store.recordEvent({ about: external, type: "Warning", reason: "UpdateFailed", message: detail });
    this.#store.setStatus(keyOf(external), failedStatus(statusOf(external), message, this.#clock.now()), {
      ifUid: external.metadata.uid,
    });
    return "never";
  }
}
