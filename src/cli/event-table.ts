import { formatAge } from "./age.ts";
import { GrowingTable } from "./growing-table.ts";
import { shortName } from "./kind-arguments.ts";
import { fieldAt, textOf } from "./shown-object.ts";

export interface EventTableOptions {
  readonly hasNamespaces: boolean;
  /** Whether to say what each is about. */
  readonly hasObjects: boolean;
}

/** Makes the lines of a table of events, as kubectl's; rows may go on coming. */
export function eventTable({
  hasNamespaces,
  hasObjects,
}: EventTableOptions): (events: readonly unknown[], now: Date) => string {
  const table = new GrowingTable([
    ...(hasNamespaces ? ["NAMESPACE"] : []),
    "LAST SEEN",
    "TYPE",
    "REASON",
    ...(hasObjects ? ["OBJECT"] : []),
    "MESSAGE",
  ]);
  return (events, now) =>
    table.render(
      events.map((event) => [
        ...(hasNamespaces ? [textOf(event, "about.namespace")] : []),
        lastSeen(event, now),
        textOf(event, "type"),
        textOf(event, "reason"),
        ...(hasObjects ? [shortName(textOf(event, "about.kind"), textOf(event, "about.name"))] : []),
        textOf(event, "message"),
      ]),
    );
}

/** `5m`, and of what happened more than once `5m (x3 over 10m)`. */
function lastSeen(event: unknown, now: Date): string {
  const since = (path: string): string => formatAge(now.getTime() - Date.parse(textOf(event, path)));
  const count = fieldAt(event, "count");
  const last = since("lastTime");
  return typeof count === "number" && count > 1 ? `${last} (x${count} over ${since("firstTime")})` : last;
}
