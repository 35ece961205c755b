import { EngineError } from "../../common/errors.ts";
import type { KindName } from "../../control/admission/kind-names.ts";
import { connectFor, type ControlClient } from "../control-client.ts";
import { namespaceFor, type NamespaceOptions } from "../control-options.ts";
import { fillTemplate } from "../jsonpath-evaluate.ts";
import { listPath, objectPath, parseKindArguments, type KindRequest } from "../kind-arguments.ts";
import { asOne, formatObject, nameOf, objectTable, sortedBy, type KindObjects } from "../show-objects.ts";
import { parseShownFormat, parseSortPath, type ShownFormat } from "../shown-format.ts";
import { fieldAt, listOf, recordOf, type ShownObject } from "../shown-object.ts";

export interface GetCommandOptions extends NamespaceOptions {
  readonly selector?: string;
  readonly watch?: boolean;
  readonly reveal?: boolean;
  readonly sortBy?: string;
}

/** `tidemark get`. Throws `usage`, `resource-missing`, `control-unreachable`. */
export async function run(
  words: readonly string[],
  options: GetCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const requests = parseKindArguments(words);
  const format = parseShownFormat(options.output);
  const sortPath = options.sortBy === undefined ? undefined : parseSortPath(options.sortBy);
  requireSense(requests, options);
  const client = await connectFor(options);
  if (options.watch === true) return watch(client, requests, format, options, signal);

  const found: KindObjects[] = [];
  for (const request of requests) {
    const objects = await read(client, request, options, signal);
    found.push({
      kind: request.kind,
      objects: sortPath === undefined ? objects : sortedBy(sortPath, objects),
    });
  }
  const objects = found.flatMap((one) => one.objects);
  if (format.kind === "table") {
    showTables(found, format.isWide, options);
    return;
  }
  const isSingle = requests.length === 1 && requests[0]?.names.length === 1;
  process.stdout.write(await textFor(asOne(objects, isSingle), objects, format));
}

function requireSense(requests: readonly KindRequest[], options: GetCommandOptions): void {
  const isNamed = requests.some(({ names }) => names.length > 0);
  if (isNamed && options.allNamespaces === true) {
    throw new EngineError("usage", "an object cannot be got by name from all namespaces", {
      hint: "Say which namespace with -n.",
    });
  }
  if (isNamed && options.selector !== undefined) {
    throw new EngineError("usage", "names and a label selector cannot be given together");
  }
  const isOneKind = requests.length === 1 && (requests[0]?.names.length ?? 0) <= 1;
  if (options.watch === true && !isOneKind) {
    throw new EngineError("usage", "only one kind, or one object, can be watched at a time");
  }
}

/** Of other kinds than Secrets everything is shown anyway. */
function revealFor(kind: KindName, { reveal }: GetCommandOptions): { readonly reveal?: boolean } {
  return kind.kind === "Secret" && reveal === true ? { reveal } : {};
}

async function read(
  client: ControlClient,
  { kind, names }: KindRequest,
  options: GetCommandOptions,
  signal: AbortSignal,
): Promise<readonly ShownObject[]> {
  const namespace = namespaceFor(options);
  if (names.length === 0) {
    const query = { labelSelector: options.selector, ...revealFor(kind, options) };
    return objectsIn(await client.request(listPath(kind, namespace), { query, signal }));
  }
  const objects: ShownObject[] = [];
  for (const name of names) {
    const path = objectPath(kind, namespace ?? "default", name);
    objects.push(asObject(await client.request(path, { query: revealFor(kind, options), signal })));
  }
  return objects;
}

/** The API's lists leave nothing out of their items: apiVersion and kind are in each. */
function objectsIn(list: unknown): readonly ShownObject[] {
  return listOf(list, "items").map(asObject);
}

const asObject = (value: unknown): ShownObject => recordOf({ value }, "value");

function showTables(found: readonly KindObjects[], isWide: boolean, options: GetCommandOptions): void {
  const filled = found.filter(({ objects }) => objects.length > 0);
  if (filled.length === 0) {
    const namespace = found.every(({ kind }) => !kind.isNamespaced) ? undefined : namespaceFor(options);
    process.stderr.write(
      `No resources found${namespace === undefined ? "" : ` in ${namespace} namespace`}.\n`,
    );
    return;
  }
  const now = new Date();
  const layout = { isWide, hasNamespaces: options.allNamespaces === true, hasKinds: found.length > 1 };
  const tables = filled.map(({ kind, objects }) => objectTable(kind, layout)(objects, now));
  process.stdout.write(tables.join("\n"));
}

async function textFor(
  value: unknown,
  objects: readonly ShownObject[],
  format: Exclude<ShownFormat, { kind: "table" }>,
): Promise<string> {
  switch (format.kind) {
    case "name":
      return objects.map(nameOf).join("");
    case "template":
      return fillTemplate(format.parts, value);
    case "yaml":
    case "json":
      return formatObject(value, format.kind);
  }
}

/** Shows what is there, then each change, until Ctrl-C, which is how it is meant to end. */
async function watch(
  client: ControlClient,
  [request]: readonly KindRequest[],
  format: ShownFormat,
  options: GetCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  if (request === undefined) return;
  const { kind, names } = request;
  const [name] = names;
  const isWide = format.kind === "table" && format.isWide;
  const table = objectTable(kind, { isWide, hasNamespaces: options.allNamespaces === true, hasKinds: false });
  const show = async (objects: readonly ShownObject[]): Promise<void> => {
    if (format.kind === "table") {
      process.stdout.write(table(objects, new Date()));
      return;
    }
    for (const object of objects) {
      const text = await textFor(object, [object], format);
      process.stdout.write(
        format.kind === "yaml" ? `---\n${text}` : text.endsWith("\n") ? text : `${text}\n`,
      );
    }
  };
  const query = {
    watch: true,
    allowWatchBookmarks: true,
    labelSelector: options.selector,
    fieldSelector: name === undefined ? undefined : `metadata.name=${name}`,
    ...revealFor(kind, options),
  };
  // What is there already comes as one table, so that its columns fit.
  let present: ShownObject[] | undefined = [];
  for await (const line of client.lines(listPath(kind, namespaceFor(options)), { query, signal })) {
    const type = fieldAt(line, "type");
    if (type === "ERROR") throw endOfWatch(line);
    if (type === "BOOKMARK") {
      await show(present ?? []);
      present = undefined;
      continue;
    }
    const object = recordOf(line, "object");
    if (present === undefined) await show([object]);
    else present.push(object);
  }
}

function endOfWatch(line: unknown): EngineError {
  const message = fieldAt(line, "object.message");
  return new EngineError(
    "aborted",
    typeof message === "string" ? message : "the control plane ended the watch",
    {
      hint: "Run the same command again.",
    },
  );
}
