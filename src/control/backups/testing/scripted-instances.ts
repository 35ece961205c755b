import type { Clock } from "../../../common/clock.ts";
import { EngineError } from "../../../common/errors.ts";
import type { BackupJob, InstanceRequest, InstanceStatus } from "../../../instance/instance-status.ts";
import type { ClusterInstances, InstanceHandle } from "../../clusters/cluster-instances.ts";
import type { ResourceKey } from "../../resources/resource.ts";

type Postgres = NonNullable<InstanceStatus["postgres"]>;

export const sampleResult: NonNullable<BackupJob["result"]> = {
  beginWal: "000000010000000000000002",
  endWal: "000000010000000000000003",
  beginLsn: "0/2000028",
  endLsn: "0/3000138",
  timeline: 1,
  beginTime: "2026-11-21T12:00:01.250Z",
  endTime: "2026-11-21T12:00:09.750Z",
  storedBytes: 4096,
  damagedPages: 0,
};

/**
 * An instance that a test drives by hand: it keeps jobs as a real one does, and what becomes of them the test says.
 */
export class ScriptedInstance implements InstanceHandle {
  readonly name: string;
  readonly folder = "/nowhere";
  readonly asked: InstanceRequest[] = [];
  /** Thrown by the next requests. */
  refusal: EngineError | undefined;
  isAnswering = true;
  phase: InstanceStatus["phase"] = "running";
  error: InstanceStatus["error"];
  archivingError: InstanceStatus["archivingError"];
  role: Postgres["role"];
  replication: Postgres["replication"] = [];
  systemIdentifier = "7000000000000000001";
  checkpointTimeline: number | undefined;
  readonly #clock: Clock;
  readonly #jobs = new Map<string, BackupJob>();
  #startedAt: string;

  constructor(name: string, { clock, role = "primary" }: { clock: Clock; role?: Postgres["role"] }) {
    this.name = name;
    this.role = role;
    this.#clock = clock;
    this.#startedAt = clock.now().toISOString();
    if (role === "standby") this.replication = [{ name: "primary", state: "streaming", lagBytes: 0 }];
  }

  get status(): InstanceStatus | undefined {
    if (!this.isAnswering) return undefined;
    const { phase, error, archivingError, role, replication, systemIdentifier, checkpointTimeline } = this;
    const startedAt = this.#startedAt;
    return {
      pid: 1,
      startedAt,
      specVersion: 1,
      phase,
      ...(error === undefined ? {} : { error }),
      ...(archivingError === undefined ? {} : { archivingError }),
      ...(phase === "running"
        ? {
            postgres: {
              pid: 2,
              version: "17.10",
              role,
              systemIdentifier,
              timeline: 1,
              ...(checkpointTimeline === undefined ? {} : { checkpointTimeline }),
              lsn: "0/4000000",
              startedAt,
              pendingRestart: false,
              replication,
            },
          }
        : {}),
      backups: [...this.#jobs.values()],
    };
  }

  // As a real one: whoever asks waits for an answer.
  async ask(request: InstanceRequest): Promise<unknown> {
    this.asked.push(request);
    if (!this.isAnswering) throw new EngineError("agent-unreachable", `could not reach "${this.name}"`);
    if (this.refusal !== undefined) throw this.refusal;
    if (request.op === "forget-backup" || request.op === "cancel-backup") this.#jobs.delete(request.id);
    if (request.op === "backup" && !this.#jobs.has(request.id)) {
      const startedAt = this.#clock.now().toISOString();
      this.#jobs.set(request.id, {
        id: request.id,
        state: "running",
        phase: "starting",
        doneBytes: 0,
        startedAt,
      });
    }
    return {};
  }

  job(id: string, change: Partial<BackupJob>): void {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new Error(`no job ${id}`);
    this.#jobs.set(id, { ...job, ...change });
  }

  complete(id: string, result: Partial<typeof sampleResult> = {}): void {
    this.job(id, {
      state: "completed",
      phase: "done",
      backupId: "20261121T120001",
      result: { ...sampleResult, ...result },
      stoppedAt: this.#clock.now().toISOString(),
    });
  }

  fail(id: string, message: string): void {
    const stoppedAt = this.#clock.now().toISOString();
    this.job(id, { state: "failed", stoppedAt, error: { code: "backup-failed", message } });
  }

  /** Its process was killed and started again; jobs are as their files say. */
  restart(): void {
    this.#startedAt = this.#clock.now().toISOString();
  }

  loseJobs(): void {
    this.#jobs.clear();
  }
}

export class ScriptedInstances implements ClusterInstances {
  instances: ScriptedInstance[];

  constructor(...instances: ScriptedInstance[]) {
    this.instances = instances;
  }

  of({ name }: ResourceKey): readonly ScriptedInstance[] {
    return name === "pg" ? this.instances : [];
  }
}
