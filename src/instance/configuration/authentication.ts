import { peerMap, peerMapName } from "../../postgres/server-initialize.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import type { InstanceSpec } from "../instance-spec.ts";

/** The superuser of every instance. */
export const superuser = "postgres";

const header = "# Written by Tidemark from the instance's specification; changes made here are lost.\n";

/** Who may connect, over what: the first line that fits decides, so ours for the instance itself come first. */
export function formatHostBasedAuthentication({ hba }: Pick<InstanceSpec, "hba">): string {
  return `${header}# TYPE  DATABASE     USER  ADDRESS       METHOD
local   all          all                 peer map=${peerMapName}
local   replication  all                 peer map=${peerMapName}
${hba.map((line) => `${line}\n`).join("")}host    all          all   127.0.0.1/32  scram-sha-256
host    all          all   ::1/128       scram-sha-256
host    replication  all   127.0.0.1/32  scram-sha-256
host    replication  all   ::1/128       scram-sha-256
`;
}

/**
 * Which operating-system user is which role on the Unix socket: root, the server's user and we ourselves are the superuser
 * too. `user`: whom the server runs as, when we are root.
 */
export function formatIdentityMap(
  { ident }: Pick<InstanceSpec, "ident">,
  user: ServerUser | undefined,
): string {
  return `${header}# MAP     SYSTEM-USER  ROLE
${peerMap(superuser, user)}${ident.map((line) => `${line}\n`).join("")}`;
}
