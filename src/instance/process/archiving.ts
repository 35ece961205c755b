import { askAgent } from "../../agent/agent-client.ts";
import { agentStatusSchema, type AgentStatus } from "../../agent/agent-status.ts";
import { runAgent } from "../../agent/run-agent.ts";
import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { Repository } from "../../repository/repository.ts";
import type { ArchiveSpec } from "../archive-spec.ts";
import type { InstanceFailure } from "../instance-status.ts";
import { walTargets } from "../wal-targets.ts";
import { KeptOrder } from "./kept-order.ts";

/** What is archived, and where to. */
export interface ArchivingOrder {
  readonly dataDirectory: string;
  /** The agent's. */
  readonly spoolDirectory: string;
  readonly archive: ArchiveSpec;
}

export interface ArchivingOptions {
  /** The command line that archives a file without the agent. */
  readonly pushCommand: readonly string[];
  /** Asked before each beginning; throws when nothing may be written into these repositories. */
  readonly beforeWriting: (repositories: readonly Repository[], signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long the agent's own answer may take before the status goes without it. */
const statusTimeoutMs = 1000;
/** A status that is asked for again within this time is the one before. */
const statusAgeMs = 1000;

/**
 * The agent beside a server: runs while there is an order for it, and is started anew when that changes. On a standby it finds nothing to do, because `archive_mode = on` makes no segment ready in recovery.
 */
export class Archiving {
  readonly #options: ArchivingOptions;
  readonly #kept: KeptOrder<ArchivingOrder>;
  #spoolRoot: string | undefined;
  #status: { readonly value: Promise<AgentStatus | undefined>; readonly atMs: number } | undefined;

  constructor(options: ArchivingOptions) {
    const { clock, log } = options;
    this.#options = options;
    this.#kept = new KeptOrder({
      name: "archiving",
      serve: async (order, signal, begun) => this.#serve(order, signal, begun),
      onFailure: ({ message }) => log.error("cannot archive", { error: message }),
      clock,
    });
  }

  /** Why nothing is archived, while that is so: a repository that cannot be opened, an archive that is another's. */
  get failure(): InstanceFailure | undefined {
    return this.#kept.failure;
  }

  /** Goes on with this order; the agent with the one before ends first. Nothing happens when it is the same. */
  follow(order: ArchivingOrder | undefined): void {
    this.#kept.follow(order);
  }

  /** What the agent says; undefined where none serves just now. Never throws. */
  async status(): Promise<AgentStatus | undefined> {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#status === undefined || nowMs - this.#status.atMs >= statusAgeMs) {
      this.#status = { value: this.#askAgent(), atMs: nowMs };
    }
    return this.#status.value;
  }

  /** Stops the agent; pushes under way get ten seconds. */
  async close(): Promise<void> {
    await this.#kept.close();
  }

  async #askAgent(): Promise<AgentStatus | undefined> {
    if (this.#spoolRoot === undefined) return undefined;
    try {
      return agentStatusSchema.parse(await askAgent(this.#spoolRoot, { op: "status" }, statusTimeoutMs));
    } catch (error) {
      this.#options.log.debug("the agent does not say how archiving stands", { error: describeError(error) });
      return undefined;
    }
  }

  async #serve(
    { dataDirectory, spoolDirectory, archive }: ArchivingOrder,
    signal: AbortSignal,
    begun: () => void,
  ): Promise<void> {
    const { pushCommand, beforeWriting, clock, log } = this.#options;
    const repositories = await openRepositories({
      settings: archive.repositories,
      server: parseServerName(archive.server),
      log,
      access: { kind: "write", spoolDirectory },
      signal,
    });
    try {
      const targets = walTargets(archive, repositories);
      await beforeWriting(repositories, signal);
      await runAgent({
        dataDirectory,
        spoolDirectory,
        targets,
        policy: archive.policy,
        ...(archive.walConcurrency === undefined ? {} : { concurrency: archive.walConcurrency }),
        pushCommand,
        log,
        clock,
        signal,
        onServing: ({ spoolRoot }) => {
          this.#spoolRoot = spoolRoot;
          begun();
        },
      });
    } finally {
      this.#spoolRoot = undefined;
      await closeRepositories(repositories);
    }
  }
}
