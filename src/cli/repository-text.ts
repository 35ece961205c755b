import type { AgentStatus } from "../agent/agent-status.ts";
import type { RepositoryStatus } from "../agent/repository-status.ts";
import { formatBytes, formatDuration } from "../common/units.ts";

/** How one repository of an agent stands, in a line. */
export function repositoryText(repository: RepositoryStatus, now: Date): string {
  const { state, url, lastStored, lagFiles = 0, lagBytes = 0, isHealing, error, failingSince } = repository;
  const age = (iso: string): string => formatDuration(now.getTime() - Date.parse(iso));
  const last = lastStored === undefined ? "" : `, got ${lastStored.name} ${age(lastStored.at)} ago`;
  const lag = lagFiles === 0 ? "" : `, lacks ${lagFiles} files (${formatBytes(lagBytes)})`;
  const healing = isHealing === true ? ", which are brought there" : "";
  const why =
    error === undefined
      ? ""
      : `: ${failingSince === undefined ? "" : `for ${age(failingSince)}, `}${error.message}`;
  return `${state}${last}${lag}${healing}, ${url}${why}`;
}

/** What no repository has; undefined when there is no such WAL. */
export function holesText({ holes }: AgentStatus): string | undefined {
  if (holes === undefined || holes.files === 0) return undefined;
  return `${holes.files} WAL segments are in no repository: ${holes.names.join(", ")}${holes.files > holes.names.length ? ", …" : ""}`;
}
