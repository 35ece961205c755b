import { connectFor, type ControlClient } from "../control-client.ts";
import { namespaceFor, type NamespaceOptions } from "../control-options.ts";
import { describeObject } from "../describe-text.ts";
import { listPath, objectPath, parseKindArguments, type KindRequest } from "../kind-arguments.ts";
import { fieldAt, listOf, recordOf, textOf, type ShownObject } from "../shown-object.ts";

/** `tidemark describe`. Throws `usage`, `resource-missing`, `control-unreachable`. */
export async function run(
  words: readonly string[],
  options: NamespaceOptions,
  signal: AbortSignal,
): Promise<void> {
  const requests = parseKindArguments(words);
  const client = await connectFor(options);
  const texts: string[] = [];
  for (const request of requests) {
    for (const object of await read(client, request, namespaceFor(options), signal)) {
      texts.push(describeObject(object, await eventsOf(client, object, signal), new Date()));
    }
  }
  if (texts.length === 0) process.stderr.write("No resources found.\n");
  process.stdout.write(texts.join("\n\n"));
}

async function read(
  client: ControlClient,
  { kind, names }: KindRequest,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly ShownObject[]> {
  const answers =
    names.length === 0
      ? listOf(await client.request(listPath(kind, namespace), { signal }), "items")
      : await Promise.all(
          names.map(async (name) =>
            client.request(objectPath(kind, namespace ?? "default", name), { signal }),
          ),
        );
  return answers.map((answer) => recordOf({ answer }, "answer"));
}

/** Of this very object: one of the same name that is gone has left its own. */
async function eventsOf(
  client: ControlClient,
  object: ShownObject,
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  const query = {
    namespace: textOf(object, "metadata.namespace"),
    kind: textOf(object, "kind"),
    name: textOf(object, "metadata.name"),
  };
  const answer = await client.request("/tidemark/v1/events", { query, signal });
  const uid = fieldAt(object, "metadata.uid");
  return listOf(answer, "items").filter((event) => fieldAt(event, "about.uid") === uid);
}
