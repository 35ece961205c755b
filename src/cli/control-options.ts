import type { SocketOptions } from "../control/state-directory.ts";

/** What every command has that speaks with the control plane. */
export interface ControlOptions extends SocketOptions {
  readonly output?: string;
}

export interface NamespaceOptions extends ControlOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
}

/** The namespace that a command is about; undefined for all of them. */
export function namespaceFor({ namespace, allNamespaces }: NamespaceOptions): string | undefined {
  return allNamespaces === true ? undefined : (namespace ?? "default");
}
