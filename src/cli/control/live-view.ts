import { formatTime } from "../../common/units.ts";
import type { ResourceChange, ResourceStore } from "../../control/resources/resource-store.ts";
import { formatKey, keyOf, type Resource } from "../../control/resources/resource.ts";
import { valueAt } from "../../manifest/manifest-object.ts";

/** What happens, a line for each thing a person would want to know: phases, conditions, and events. */
export function startLiveView(
  store: ResourceStore,
  write: (line: string) => void,
  now: () => Date,
): () => void {
  const shown = new Map<string, string>();
  const seenEvents = new Set<string>();
  const startedAt = now().toISOString();

  const showEvents = (resource: Resource): void => {
    for (const event of store.events({ about: keyOf(resource), limit: 20 })) {
      const id = `${event.about.uid} ${event.reason} ${event.message} ${event.lastTime}`;
      if (event.lastTime < startedAt || seenEvents.has(id)) continue;
      seenEvents.add(id);
      const mark = event.type === "Warning" ? "! " : "";
      write(
        `${formatTime(new Date(event.lastTime))}  ${formatKey(event.about)}  ${mark}${event.reason}: ${event.message}\n`,
      );
    }
  };
  return store.subscribe(({ type, resource }: ResourceChange) => {
    showEvents(resource);
    const key = formatKey(keyOf(resource));
    if (type === "deleted") {
      if (shown.delete(resource.metadata.uid)) write(`${formatTime(now())}  ${key}  deleted\n`);
      return;
    }
    const text = stateOf(resource);
    if (text === undefined || shown.get(resource.metadata.uid) === text) return;
    shown.set(resource.metadata.uid, text);
    write(`${formatTime(now())}  ${key}  ${text}\n`);
  });
}

/** How an object is, in a line; undefined for kinds that have no state, and while nothing is known. */
function stateOf({ kind, status }: Resource): string | undefined {
  const phase = text(status, "phase");
  if (phase === undefined || phase === "") return undefined;
  const reason = text(status, "phaseReason") ?? text(status, "error");
  const ready =
    kind === "Cluster" ? ` (${count(status, "readyInstances")}/${count(status, "instances")} ready)` : "";
  return `${phase}${ready}${reason === undefined ? "" : `: ${reason}`}`;
}

function text(status: Resource["status"], field: string): string | undefined {
  const value = valueAt(status, [field]);
  return typeof value === "string" ? value : undefined;
}

function count(status: Resource["status"], field: string): number {
  const value = valueAt(status, [field]);
  return typeof value === "number" ? value : 0;
}
