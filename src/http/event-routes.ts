import { z } from "zod";
import type { Clock } from "../common/clock.ts";
import { describeError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { findKindName } from "../control/admission/kind-names.ts";
import type { ResourceEvent, ResourceStore } from "../control/resources/resource-store.ts";
import { defineRoute, flag, lineMediaType, type ApiRoute, type ApiSchema } from "./api-route.ts";
import { lineStream } from "./line-stream.ts";

/** What happened to objects, oldest first. */

export const eventSchema = z.object({
  about: z.object({ kind: z.string(), namespace: z.string(), name: z.string(), uid: z.string() }),
  type: z.enum(["Normal", "Warning"]),
  reason: z.string(),
  message: z.string(),
  count: z.number().int(),
  firstTime: z.string(),
  lastTime: z.string(),
});
export const eventListSchema = z.object({ items: z.array(eventSchema) });
const eventLine: ApiSchema = {
  name: "EventLine",
  schema: z.object({ type: z.enum(["ADDED", "MODIFIED", "ERROR"]), object: eventSchema }),
};

const eventQuery = z.strictObject({
  namespace: z.string().describe("all of them when left out").optional(),
  kind: z.string().describe("of what it happened to: cluster, backup, …").optional(),
  name: z.string().describe("of what it happened to").optional(),
  watch: flag.describe("what is there as ADDED, then what comes; MODIFIED when one happens again"),
});
type EventQuery = z.infer<typeof eventQuery>;

/** The store does not tell of events, so whoever watches them has it asked this often. */
const pollMs = 500;

export interface EventRouteParts {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Log;
}

export function eventRoutes(parts: EventRouteParts): readonly ApiRoute[] {
  return [
    defineRoute<EventQuery>({
      method: "GET",
      path: "/tidemark/v1/events",
      id: "listEvents",
      summary: "What happened to objects, oldest first",
      query: eventQuery,
      answer: { name: "EventList", schema: eventListSchema },
      lines: eventLine,
      handle({ query }) {
        if (query.watch !== true) return Response.json({ items: eventsOf(parts.store, query) });
        return new Response(watchEvents(parts, query), { headers: { "content-type": lineMediaType } });
      },
    }),
  ];
}

function eventsOf(store: ResourceStore, { namespace, kind, name }: EventQuery): readonly ResourceEvent[] {
  const wantedKind = kind === undefined ? undefined : (findKindName(kind)?.kind ?? kind);
  return store
    .events(namespace === undefined ? {} : { namespace })
    .filter(
      ({ about }) =>
        (wantedKind === undefined || about.kind === wantedKind) &&
        (name === undefined || about.name === name),
    );
}

interface EventLine {
  readonly type: "ADDED" | "MODIFIED";
  readonly object: ResourceEvent;
}

function watchEvents({ store, clock, log }: EventRouteParts, query: EventQuery): ReadableStream<Uint8Array> {
  const stopped = new AbortController();
  let counts: ReadonlyMap<string, number> = new Map();
  /** What is new since the last time. */
  const look = (): readonly EventLine[] => {
    const events = eventsOf(store, query);
    const lines = events.flatMap((object): readonly EventLine[] => {
      const before = counts.get(idOf(object));
      if (before === object.count) return [];
      return [{ type: before === undefined ? "ADDED" : "MODIFIED", object }];
    });
    counts = new Map(events.map((event) => [idOf(event), event.count]));
    return lines;
  };
  const poll = async (push: (line: EventLine) => void): Promise<void> => {
    while (!stopped.signal.aborted) {
      await clock.sleep(pollMs, stopped.signal);
      for (const line of look()) push(line);
    }
  };
  return lineStream<EventLine>({
    open(push) {
      const first = look();
      // It ends by the signal, and by a store that was closed under it.
      void poll(push).catch((error: unknown) => {
        if (!stopped.signal.aborted) log.warn("events could not be read", { error: describeError(error) });
      });
      return { first, stop: () => stopped.abort() };
    },
    render: (line) => line,
    overflow: (waiting) => ({
      type: "ERROR",
      object: { message: `the client reads too slowly: ${waiting} events were waiting for it` },
    }),
  });
}

/** One that happens again an hour later is another one. */
function idOf({ about, type, reason, message, firstTime }: ResourceEvent): string {
  return JSON.stringify([about.uid, type, reason, message, firstTime]);
}
