import type { InstanceFailure } from "../../instance/instance-status.ts";

/** What an instance says of its trouble, with what to do about it; advice about flags of commands is none in a status. */
export function describeFailure({ message, hint }: InstanceFailure): string {
  return hint === undefined || / --[a-z]/.test(hint) ? message : `${message}. ${hint}`;
}
