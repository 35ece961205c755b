import { expect, test } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { chooseInstance } from "./choose-instance.ts";
import { ScriptedInstance } from "./testing/scripted-instances.ts";

const clock = new ManualClock();

function instance(name: string, change: Partial<ScriptedInstance> = {}): ScriptedInstance {
  const role = name === "pg-1" ? "primary" : "standby";
  return Object.assign(new ScriptedInstance(name, { clock, role }), change);
}

const preferStandby = { target: "prefer-standby", currentPrimary: "pg-1" };
const primary = { target: "primary", currentPrimary: "pg-1" };

test.each([
  [
    "the first standby that streams",
    [instance("pg-1"), instance("pg-2"), instance("pg-3")],
    preferStandby,
    "pg-2",
  ],
  [
    "not one that does not stream",
    [instance("pg-1"), instance("pg-2", { replication: [] }), instance("pg-3")],
    preferStandby,
    "pg-3",
  ],
  [
    "not one that is being started",
    [instance("pg-1"), instance("pg-2", { phase: "starting" }), instance("pg-3")],
    preferStandby,
    "pg-3",
  ],
  [
    "not one whose restart point is on the timeline before",
    [instance("pg-1"), instance("pg-2", { checkpointTimeline: 0 })],
    preferStandby,
    "pg-1",
  ],
  ["the primary when there is no other", [instance("pg-1")], preferStandby, "pg-1"],
  ["the primary when it is asked for", [instance("pg-1"), instance("pg-2")], primary, "pg-1"],
  [
    "the server that is primary when nobody has said yet which it is",
    [instance("pg-1"), instance("pg-2")],
    { target: "primary", currentPrimary: undefined },
    "pg-1",
  ],
])("it is %s", (_title, instances, wanted, name) => {
  const choice = chooseInstance(instances, wanted);

  expect(choice.kind === "chosen" && choice.instance.name).toBe(name);
});

test.each([
  [
    [],
    primary,
    "FindingPod",
    'there is no primary "pg-1" to take the backup from; it is looked for again in 30 seconds',
  ],
  [
    [instance("pg-2")],
    { target: "primary", currentPrimary: undefined },
    "FindingPod",
    "there is no primary to take the backup from; it is looked for again in 30 seconds",
  ],
  [
    [instance("pg-1", { isAnswering: false })],
    primary,
    "BackupPending",
    'instance "pg-1" is not ready: it does not answer',
  ],
  [
    [instance("pg-1", { phase: "bootstrapping" })],
    primary,
    "BackupPending",
    'instance "pg-1" is not ready: it is bootstrapping',
  ],
  [
    [instance("pg-1", { phase: "failed", error: { code: "x", message: "no space" } })],
    primary,
    "BackupPending",
    'instance "pg-1" is not ready: no space',
  ],
  [
    [instance("pg-1", { role: "standby" })],
    primary,
    "BackupPending",
    'instance "pg-1" is not ready: its server is no primary',
  ],
])("there is none: %#", (instances, wanted, reason, message) => {
  expect(chooseInstance(instances, wanted)).toEqual({ kind: "none", reason, message });
});
