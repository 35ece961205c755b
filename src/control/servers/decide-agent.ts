import type { AttachedSpec } from "../../instance/attached/attached-spec.ts";
import { canonical } from "../clusters/canonical.ts";
import { archiveSpecOf, type OpenableArchive } from "../clusters/openable-archive.ts";
import type { Resolution } from "../clusters/store-resolution.ts";
import type { DataDirectoryProblem } from "./data-directory.ts";
import type { AgentFacts } from "./local-servers.ts";
import type { ServerView } from "./server-view.ts";

/** All that is decided about the process beside a server. */
export interface AgentDecisionFacts {
  readonly view: ServerView;
  /** Why nothing can be done beside its data directory. */
  readonly problem: DataDirectoryProblem | undefined;
  readonly archive: Resolution<OpenableArchive>;
  readonly connection: Resolution<AttachedSpec["connection"]>;
  readonly agent: AgentFacts;
}

/** Each can be repeated. */
export type AgentAction =
  | { readonly kind: "write-spec"; readonly spec: AttachedSpec }
  /** It follows an older specification than the one that was written: it was not told, or did not hear. */
  | { readonly kind: "configure" }
  | { readonly kind: "spawn" }
  /** Ends the process. `forget` removes what it knew: it was another Server's. */
  | { readonly kind: "stop"; readonly forget: boolean };

/** Why a server is not ready, whatever its process says. */
export interface ServerTrouble {
  readonly phase: string;
  readonly reason: string;
  readonly message: string;
}

export interface AgentDecision {
  readonly actions: readonly AgentAction[];
  readonly trouble: ServerTrouble | undefined;
  readonly afterMs: number;
}

/** While something is missing that nobody tells us of when it comes: a disk, a server, an owner. */
const troubledMs = 5000;
const settledMs = 30_000;

/** What is next for the process beside a server, from facts alone. */
export function decideAgent(facts: AgentDecisionFacts): AgentDecision {
  const { view, problem, archive, connection, agent } = facts;
  if (problem?.isRefused === true) {
    const stop = agent.isAlive ? [{ kind: "stop", forget: false } as const] : [];
    return { actions: stop, trouble: { phase: "Refused", ...problem }, afterMs: troubledMs };
  }
  // It was deleted and made again faster than anybody looked.
  if (agent.spec !== undefined && agent.spec.uid !== view.resource.metadata.uid) {
    return { actions: [{ kind: "stop", forget: true }], trouble: starting(agent), afterMs: 0 };
  }
  if (archive.kind === "missing" || connection.kind === "missing") {
    const problems = [archive, connection].flatMap((item) => (item.kind === "missing" ? item.problems : []));
    const trouble: ServerTrouble = {
      phase: "Waiting for what it refers to",
      reason: "Incomplete",
      message: problems.join("; "),
    };
    // What it was told before holds until it is told better.
    const isWanted = agent.spec !== undefined && problem === undefined;
    return { actions: isWanted ? spawnIfDue(agent) : [], trouble, afterMs: troubledMs };
  }
  if (problem !== undefined && !agent.isAlive) {
    return { actions: [], trouble: waitingFor(problem), afterMs: troubledMs };
  }
  const spec = attachedSpec(view, archive.value, connection.value, agent.spec);
  const write = spec === agent.spec ? [] : [{ kind: "write-spec", spec } as const];
  const isDone = write.length === 0 && agent.status?.specVersion === spec.version;
  const configure =
    !isDone && write.length === 0 && agent.status !== undefined ? [{ kind: "configure" } as const] : [];
  return {
    actions: [...write, ...configure, ...spawnIfDue(write.length === 0 ? agent : { ...agent, restMs: 0 })],
    trouble:
      problem === undefined
        ? agent.status === undefined
          ? starting(agent)
          : undefined
        : waitingFor(problem),
    afterMs: isDone && problem === undefined ? settledMs : afterMsOf(agent),
  };
}

function spawnIfDue({ isAlive, restMs }: AgentFacts): readonly AgentAction[] {
  return isAlive || restMs > 0 ? [] : [{ kind: "spawn" }];
}

function afterMsOf({ restMs }: AgentFacts): number {
  return restMs > 0 ? Math.min(restMs, troubledMs) : troubledMs;
}

function waitingFor({ reason, message }: DataDirectoryProblem): ServerTrouble {
  return { phase: "Waiting for the data directory", reason, message };
}

function starting({ failure, isAlive }: AgentFacts): ServerTrouble {
  const message = failure ?? (isAlive ? "the agent does not answer yet" : "the agent is being started");
  const reason = failure === undefined ? "AgentNotRunning" : "AgentFailed";
  return { phase: "Starting the agent", reason, message };
}

/** What the process is to do; the very specification that it has when nothing differs. */
function attachedSpec(
  { resource, key, spec, skipsEmptyArchiveCheck }: ServerView,
  archive: OpenableArchive,
  connection: AttachedSpec["connection"],
  present: AttachedSpec | undefined,
): AttachedSpec {
  const { dataDirectory, binDirectory, spoolDirectory, wal, backup } = spec;
  const wanted: AttachedSpec = {
    format: 1,
    version: present?.version ?? 1,
    server: `${key.namespace}/${key.name}`,
    name: key.name,
    uid: resource.metadata.uid,
    dataDirectory,
    ...(binDirectory === undefined ? {} : { binDirectory }),
    spoolDirectory: spoolDirectory ?? `${dataDirectory.replace(/(?<=.)\/+$/, "")}.tidemark`,
    connection,
    archive: archiveSpecOf(archive, {
      requireEmptyArchive: !skipsEmptyArchiveCheck,
      wal,
      data: backup,
    }),
  };
  if (present === undefined) return wanted;
  return canonical(wanted) === canonical(present) ? present : { ...wanted, version: present.version + 1 };
}
