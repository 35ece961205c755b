import type { Results } from "./results.ts";

/** What a scenario is called, in the order of the page, and what one reading of it is. */
export interface ScenarioText {
  readonly title: string;
  /** One or two sentences on what is measured. */
  readonly text: string;
  /** What its rate counts: `segments/s`; without it only the time is shown. */
  readonly unit?: string;
}

export function scenarioText(scenario: string, { sizes }: Results): ScenarioText {
  const burst = /^burst-(easy|hard)-(\d+)$/.exec(scenario);
  if (burst !== null) {
    return {
      title: `Burst of ${burst[2]} ${burst[1]} segments`,
      text: `From the first \`.ready\` to the last \`.done\` through PostgreSQL's archiver. barman-cloud does ${sizes.slow.burst} segments; compare the rates.`,
      unit: "segments/s",
    };
  }
  const data = `${(sizes.dataBytes / 1024 ** 3).toFixed(1)} GiB, half of it easy, half hard`;
  const texts: Readonly<Record<string, ScenarioText>> = {
    latency: {
      title: "One hard segment",
      text: "From the call of `pg_switch_wal` to `.done`, with nothing else to do. The median of each trial counts as one reading.",
    },
    backup: {
      title: "Full backup",
      text: `${data}, into an empty repository, from the command's start to its end, the WAL it needs included. Every contender forces the checkpoint.`,
    },
    copies: {
      title: "Full backup into two repositories",
      text: "The same data into a directory behind a slow line, alone and together with a fast one. The data are read and compressed once: the second copy should cost next to no time.",
    },
    restore: {
      title: "Restore",
      text: "That backup into an empty directory, from the command's start to its end, without the replay.",
    },
    replay: {
      title: `Replay of ${sizes.replay} segments`,
      text: `From the start of the restored server until it pauses at a position ${sizes.replay} segments behind the backup, about half of them hard. PostgreSQL's own CPU time is included. barman-cloud does ${sizes.slow.replay} segments; compare the rates.`,
      unit: "segments/s",
    },
    tables: {
      title: `Full backup of ${sizes.tables.toLocaleString("en")} tables`,
      text: "Small tables, each with a primary key and a TOAST table: it is the number of files that counts.",
    },
    help: {
      title: "Start of the program",
      text: "The time to print the help; the median of five runs counts as one reading.",
    },
    "agent-idle": {
      title: "The agent with nothing to do",
      text: "For five seconds; what counts here is CPU time and memory.",
    },
  };
  return texts[scenario] ?? { title: scenario, text: "" };
}
