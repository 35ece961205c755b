import fc from "fast-check";
import { expect, test } from "vitest";
import { viewCluster } from "../clusters/cluster-view.ts";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import type { BackupFacts } from "./backup-facts.ts";
import { isFinished, readBackupStatus, type BackupStatus } from "./backup-status.ts";
import { viewBackup } from "./backup-view.ts";
import { decideBackup } from "./decide-backup.ts";
import { backupDraft, clusterDraft, resourceOf } from "./testing/sample-objects.ts";
import { ScriptedInstance } from "./testing/scripted-instances.ts";

/** Everything that can happen to a backup and its instances, at any time and in any order. */
const happenings = [
  "completes",
  "fails",
  "copies",
  "process restarts",
  "jobs are lost",
  "stops answering",
  "answers again",
  "server is given up",
  "server runs again",
  "switches over",
  "an instance is replaced",
  "archiving breaks",
  "archiving works",
  "requests are lost",
  "requests arrive",
] as const;

const happening = fc.record({
  what: fc.constantFrom(...happenings),
  instance: fc.nat(1),
  passMs: fc.constantFrom(100, 2000, 30_000, 200_000),
});

const uid = "uid-of-first";
const view = viewCluster(resourceOf(clusterDraft()));

class World {
  readonly clock = new ManualClock("2026-11-21T12:00:00.000Z");
  instances = [this.#instance("pg-1", "primary"), this.#instance("pg-2", "standby")];
  currentPrimary = "pg-1";
  trouble: string | undefined;
  areRequestsLost = false;
  status: BackupStatus = {};
  phases: (string | undefined)[] = [];
  #number = 2;

  facts(): BackupFacts {
    const resource = resourceOf(backupDraft("first"), { status: this.status });
    return {
      backup: viewBackup(resource),
      cluster: {
        uid: "uid-of-pg",
        settings: {
          kind: "ok",
          value: {
            view,
            archive: {
              kind: "ok",
              value: {
                serverName: "pg",
                policy: "all",
                method: "plugin",
                stores: [
                  {
                    name: "store",
                    objectStore: "store",
                    serverName: "pg",
                    configuration: { destinationPath: "/backups" },
                    retentionPolicy: undefined,
                    retentionIntervalSeconds: 1800,
                    environment: {},
                  },
                ],
              },
            },
          },
        },
        currentPrimary: this.currentPrimary,
        archivingTrouble: this.trouble,
        isUpgrading: false,
      },
      others: [],
      instances: this.instances,
      now: this.clock.now(),
    };
  }

  /** One reconcile; returns when it wants the next. */
  async look(): Promise<number | "never"> {
    const decision = decideBackup(this.facts());
    // Through JSON, as the store keeps it.
    this.status = readBackupStatus(JSON.parse(JSON.stringify(decision.status)));
    this.phases.push(this.status.phase);
    for (const { instance: name, request } of decision.tell) {
      if (this.areRequestsLost) continue;
      await this.instances
        .find((instance) => instance.name === name)
        ?.ask(request)
        .catch(() => undefined);
    }
    return decision.again === "never" ? "never" : decision.again.afterMs;
  }

  happen(what: (typeof happenings)[number], index: number): void {
    const instance = this.instances[index]!;
    const job = instance.status?.backups.find(({ id, state }) => id === uid && state === "running");
    switch (what) {
      case "completes":
        if (job !== undefined) instance.complete(uid);
        return;
      case "fails":
        if (job !== undefined) instance.fail(uid, "it failed");
        return;
      case "copies":
        if (job !== undefined) instance.job(uid, { phase: "copying", doneBytes: job.doneBytes + 1 });
        return;
      case "process restarts":
        instance.restart();
        if (job !== undefined)
          instance.fail(uid, `instance manager was restarted during backup on instance x`);
        return;
      case "jobs are lost":
        instance.loseJobs();
        return;
      case "stops answering":
        instance.isAnswering = false;
        return;
      case "answers again":
        instance.isAnswering = true;
        return;
      case "server is given up":
        instance.phase = "failed";
        return;
      case "server runs again":
        instance.phase = "running";
        return;
      case "switches over":
        this.#switchOver();
        return;
      case "an instance is replaced":
        this.instances[index] = this.#instance(`pg-${++this.#number}`, instance.role);
        if (instance.role === "primary") this.currentPrimary = this.instances[index].name;
        return;
      case "archiving breaks":
        this.trouble = "no such bucket";
        return;
      case "archiving works":
        this.trouble = undefined;
        return;
      case "requests are lost":
        this.areRequestsLost = true;
        return;
      case "requests arrive":
        this.areRequestsLost = false;
        return;
    }
  }

  /** From here on nothing goes wrong any more. */
  calm(): void {
    this.trouble = undefined;
    this.areRequestsLost = false;
    for (const instance of this.instances) {
      instance.isAnswering = true;
      instance.phase = "running";
    }
  }

  #switchOver(): void {
    for (const instance of this.instances) {
      instance.role = instance.role === "primary" ? "standby" : "primary";
      instance.replication =
        instance.role === "standby" ? [{ name: "p", state: "streaming", lagBytes: 0 }] : [];
      if (instance.role === "primary") this.currentPrimary = instance.name;
      if (instance.status?.backups.some(({ state }) => state === "running") === true) {
        instance.fail(uid, "the server was promoted");
      }
    }
  }

  #instance(name: string, role: "primary" | "standby"): ScriptedInstance {
    return new ScriptedInstance(name, { clock: this.clock, role });
  }
}

test("whatever happens, a backup ends as soon as the world is calm, and stays as it ended", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 40 }), async (history) => {
      const world = new World();
      for (const { what, instance, passMs } of history) {
        await world.look();
        await world.clock.advance(passMs);
        world.happen(what, instance);
      }
      world.calm();
      for (let turn = 0; turn < 200 && !isFinished(world.status); turn++) {
        const again = await world.look();
        if (again === "never") break;
        await world.clock.advance(again);
        for (const index of [0, 1]) world.happen("completes", index);
      }

      expect(isFinished(world.status)).toBe(true);
      // Nothing changes any more, and no instance is told anything.
      const last = world.status;
      const asked = world.instances.map((instance) => instance.asked.length);
      expect(await world.look()).toBe("never");
      expect(world.status).toEqual(last);
      expect(world.instances.map((instance) => instance.asked.length)).toEqual(asked);
      // Never more than three times, however often it was asked for under the same ID.
      expect(last.attempts ?? 0).toBeLessThanOrEqual(3);
      expect(last.phase === "failed" ? last.error : "").toBeDefined();
      expect(last.waiting).toBeUndefined();
    }),
    { numRuns: 300 },
  );
});
