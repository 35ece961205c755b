import type { Hono } from "hono";
import { systemClock, type Clock } from "../../common/clock.ts";
import { createLog } from "../../common/log.ts";
import { applyManifests } from "../../control/admission/apply-manifests.ts";
import type { ResourceStore } from "../../control/resources/resource-store.ts";
import { temporaryResources } from "../../control/resources/testing/temporary-resources.ts";
import type { ApiRoute } from "../api-route.ts";
import { createApi } from "../create-api.ts";

export interface TestApi {
  readonly app: Hono;
  readonly store: ResourceStore;
  /** What was logged, `level message`. */
  readonly lines: string[];
}

/** The API on a real store, until the end of the test. */
export async function testApi({
  clock = systemClock,
  routes = [],
}: { readonly clock?: Clock; readonly routes?: readonly ApiRoute[] } = {}): Promise<TestApi> {
  const store = await (await temporaryResources()).open(clock);
  const lines: string[] = [];
  const log = createLog((level, message) => lines.push(`${level} ${message}`));
  return { app: createApi({ store, log, clock, routes }), store, lines };
}

export function applyTexts(store: ResourceStore, ...texts: readonly string[]): void {
  const result = applyManifests({
    store,
    texts: texts.map((text, index) => ({ path: `${index}.yaml`, text })),
    defaultNamespace: "default",
  });
  if (result.outcome !== "applied") throw new Error(JSON.stringify(result.findings));
}

export async function jsonOf(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

/** The lines of an answer that goes on, one after the other. Leaving the loop leaves the answer. */
export async function* linesOf(response: Response): AsyncGenerator<Record<string, unknown>> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as Record<string, unknown>;
  }
}
