import { EngineError } from "../../common/errors.ts";
import { connectFor, type Query } from "../control-client.ts";
import { namespaceFor, type NamespaceOptions } from "../control-options.ts";
import { eventTable } from "../event-table.ts";
import { parseKindArguments } from "../kind-arguments.ts";
import { formatJson, parseOutputFormat } from "../output.ts";
import { fieldAt, listOf, textOf } from "../shown-object.ts";

export interface EventsCommandOptions extends NamespaceOptions {
  readonly for?: string;
  readonly watch?: boolean;
}

/** `tidemark events`. Throws `usage`, `control-unreachable`. */
export async function run(options: EventsCommandOptions, signal: AbortSignal): Promise<void> {
  const isJson = parseOutputFormat(options.output ?? "text") === "json";
  const namespace = namespaceFor(options);
  const query: Query = { namespace, ...aboutQuery(options.for) };
  const client = await connectFor(options);
  const path = "/tidemark/v1/events";
  const table = eventTable({ hasNamespaces: options.allNamespaces === true, hasObjects: true });
  const answer = await client.request(path, { query, signal });
  const events = listOf(answer, "items").toSorted(byLastTime);
  if (options.watch !== true) {
    if (isJson) process.stdout.write(formatJson(answer));
    else if (events.length > 0) process.stdout.write(table(events, new Date()));
    else
      process.stderr.write(
        `No events found${namespace === undefined ? "" : ` in ${namespace} namespace`}.\n`,
      );
    return;
  }
  for (const event of isJson ? events : []) process.stdout.write(`${JSON.stringify(event)}\n`);
  if (!isJson) process.stdout.write(table(events, new Date()));
  const seen = new Set(events.map(idOf));
  for await (const line of client.lines(path, { query: { ...query, watch: true }, signal })) {
    const event = fieldAt(line, "object");
    if (fieldAt(line, "type") === "ERROR") {
      throw new EngineError("aborted", textOf(event, "message"), { hint: "Run the same command again." });
    }
    // The watch begins with what is there, which was shown already.
    if (seen.delete(idOf(event))) continue;
    process.stdout.write(isJson ? `${JSON.stringify(event)}\n` : table([event], new Date()));
  }
}

/** `cluster/pg`. */
function aboutQuery(text: string | undefined): Query {
  if (text === undefined) return {};
  const [request] = parseKindArguments([text]);
  const [name] = request?.names ?? [];
  return { kind: request?.kind.kind, name };
}

function byLastTime(a: unknown, b: unknown): number {
  return Date.parse(textOf(a, "lastTime")) - Date.parse(textOf(b, "lastTime"));
}

/** An event as it was at one time: one that happens again is shown again. */
function idOf(event: unknown): string {
  return JSON.stringify(event);
}
