import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../common/errors.ts";
import type { InstancePlace } from "./instance-specs.ts";

const firstPort = 5432;
const lastPort = 65_535;

/** `sockaddr_un.sun_path` with its end mark has 108 bytes on Linux and 104 elsewhere. */
const socketPathBytes = 103;

/**
 * A port for a new instance: the lowest from 5432 on that no other instance has, running or not, and on which nothing
 * listens. Throws `config` when there is none.
 */
export async function choosePort(taken: ReadonlySet<number>): Promise<number> {
  for (let port = firstPort; port <= lastPort; port++) {
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new EngineError("config", `no port from ${firstPort} to ${lastPort} is free`, {
    hint: "Stop a server that is no longer needed.",
  });
}

async function isFree(port: number): Promise<boolean> {
  const answers = await Promise.all(["127.0.0.1", "::1"].map(async (host) => canListen(port, host)));
  return answers.every(Boolean);
}

async function canListen(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    return await new Promise<boolean>((resolve) => {
      // A machine without IPv6 has nobody who listens there.
      server.once("error", (error: NodeJS.ErrnoException) =>
        resolve(error.code === "EADDRNOTAVAIL" || error.code === "EAFNOSUPPORT"),
      );
      server.listen({ port, host, exclusive: true }, () => resolve(true));
    });
  } finally {
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** In the instance's own folder, or a short one named after it where that path is too long for a socket. */
export function socketDirectoryFor(folder: string, port: number): string {
  const wanted = join(folder, "run");
  if (Buffer.byteLength(join(wanted, `.s.PGSQL.${port}`)) <= socketPathBytes) return wanted;
  const hash = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  const short = join(tmpdir(), `tidemark-${hash}`);
  return Buffer.byteLength(join(short, `.s.PGSQL.${port}`)) <= socketPathBytes
    ? short
    : `/tmp/tidemark-${hash}`;
}

export async function choosePlace(
  name: string,
  folder: string,
  taken: ReadonlySet<number>,
): Promise<InstancePlace> {
  const port = await choosePort(taken);
  return { name, port, socketDirectory: socketDirectoryFor(folder, port) };
}
