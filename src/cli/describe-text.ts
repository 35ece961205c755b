import { stringify } from "yaml";
import { ageOf } from "./age.ts";
import { eventTable } from "./event-table.ts";
import { GrowingTable } from "./growing-table.ts";
import { shortName } from "./kind-arguments.ts";
import { formatFacts } from "./output.ts";
import { fieldAt, listOf, recordOf, textOf, type ShownObject } from "./shown-object.ts";

/** One object for a person: who it is, what is wanted, what is, and what happened to it. */
export function describeObject(object: ShownObject, events: readonly unknown[], now: Date): string {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, status, ...content } = object;
  const { conditions: _conditions, ...facts } = recordOf({ status }, "status");
  const sections = [
    formatFacts(headOf(object, now)),
    ...Object.entries(content).map(([field, value]) => section(titleOf(field), yamlOf(value))),
    ...(Object.keys(facts).length === 0 ? [] : [section("Status", yamlOf(facts))]),
    ...conditionSection(listOf(object, "status.conditions"), now),
    events.length === 0
      ? "Events:  <none>\n"
      : section("Events", eventTable({ hasNamespaces: false, hasObjects: false })(events, now)),
  ];
  return sections.join("\n");
}

function headOf(object: ShownObject, now: Date): [string, string][] {
  const created = textOf(object, "metadata.creationTimestamp");
  const deleted = textOf(object, "metadata.deletionTimestamp");
  const namespace = textOf(object, "metadata.namespace");
  const owners = listOf(object, "metadata.ownerReferences").map((owner) =>
    shortName(textOf(owner, "kind"), textOf(owner, "name")),
  );
  const finalizers = listOf(object, "metadata.finalizers").map(String);
  return [
    ["Name", textOf(object, "metadata.name")],
    ...(namespace === "" ? [] : [["Namespace", namespace] as [string, string]]),
    ["Kind", `${textOf(object, "kind")} (${textOf(object, "apiVersion")})`],
    ["Created", `${created}, ${ageOf(created, now)} ago`],
    ...(deleted === ""
      ? []
      : [["Being deleted", `since ${deleted}, ${ageOf(deleted, now)} ago`] as [string, string]]),
    ["Labels", textsOf(recordOf(object, "metadata.labels"))],
    ["Annotations", textsOf(recordOf(object, "metadata.annotations"))],
    ...(owners.length === 0 ? [] : [["Owned by", owners.join(", ")] as [string, string]]),
    ...(finalizers.length === 0 ? [] : [["Finalizers", finalizers.join(", ")] as [string, string]]),
  ];
}

function textsOf(texts: ShownObject): string {
  const lines = Object.entries(texts).map(([name, value]) => `${name}=${value as string}`);
  return lines.length === 0 ? "<none>" : lines.join(", ");
}

function conditionSection(conditions: readonly unknown[], now: Date): readonly string[] {
  if (conditions.length === 0) return [];
  const table = new GrowingTable(["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"]);
  const rows = conditions.map((condition) => [
    textOf(condition, "type"),
    textOf(condition, "status"),
    textOf(condition, "reason"),
    ageOf(fieldAt(condition, "lastTransitionTime"), now),
    textOf(condition, "message"),
  ]);
  return [section("Conditions", table.render(rows))];
}

function section(title: string, text: string): string {
  const lines = text.trimEnd().split("\n");
  return `${title}:\n${lines.map((line) => (line === "" ? "" : `  ${line}`)).join("\n")}\n`;
}

const titleOf = (field: string): string => `${field.charAt(0).toUpperCase()}${field.slice(1)}`;

function yamlOf(value: unknown): string {
  return stringify(value, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}
