/** What an instance is at, as far as it decides what is next. */
export interface StepFacts {
  readonly ending:
    | "no"
    /** The process ends and leaves the server running. */
    | "leave"
    /** The process ends, and the server before it. */
    | "stop";
  readonly wanted: "running" | "stopped";
  /** Whether the data directory is there and whole. */
  readonly isMade: boolean;
  readonly server: "none" | "starting" | "ready";
  /** Something failed and is not to be tried again yet. */
  readonly isResting: boolean;
  readonly isRestartAsked: boolean;
  /** The specification has changed since the server was told. */
  readonly isChanged: boolean;
}

export type Step = "end" | "stop" | "bootstrap" | "start" | "restart" | "configure" | "rest";

/** One small step towards what is wanted; asked again after each, and after everything that happens. */
export function nextStep(facts: StepFacts): Step {
  const { ending, wanted, isMade, server, isResting, isRestartAsked, isChanged } = facts;
  const runs = server !== "none";
  if (ending === "leave") return "end";
  if (ending === "stop") return runs ? "stop" : "end";
  if (wanted === "stopped") return runs ? "stop" : "rest";
  if (!runs) {
    if (isResting) return "rest";
    return isMade ? "start" : "bootstrap";
  }
  if (isRestartAsked) return "restart";
  // One that starts reads its files when it is through at the latest, but may need what they say to get there.
  return isChanged ? "configure" : "rest";
}
