/**
 * A real S3 server for tests: Debian's Ceph with one monitor, one OSD on a sparse file and one RADOS gateway, all on
 * loopback. It is the most faithful S3 there is to install: it refuses wrong signatures, orders lists by bytes, and
 * honours `If-None-Match: *` under a race. Ready in about 15 s; needs root, 250 MB of memory.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { formatCephConfig, monitorAddresses, type CephPorts } from "./ceph-config.ts";
import { createBucket, type S3Access } from "./s3-service.ts";

export interface CephGateway extends S3Access, AsyncDisposable {
  createBucket(name: string): Promise<void>;
  /** Ends the daemons and removes what they stored. Safe to repeat. */
  stop(): Promise<void>;
}

const run = promisify(execFile);
const programs = ["ceph-mon", "ceph-osd", "radosgw", "ceph", "monmaptool", "radosgw-admin"];

/** Starts a gateway with one user. Throws with the command that installs what is missing. */
export async function startCephGateway(): Promise<CephGateway> {
  await checkPrograms();
  const directory = await mkdtemp(join(tmpdir(), "tidemark-ceph-"));
  const daemons: ChildProcess[] = [];
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping ??= (async () => {
      await Promise.all(daemons.map(kill));
      await rm(directory, { recursive: true, force: true });
    })();
    await stopping;
  };

  try {
    const ports = await freePorts();
    const credentials = {
      accessKeyId: `AK${randomBytes(9).toString("hex").toUpperCase()}`,
      secretAccessKey: randomBytes(20).toString("hex"),
    };
    await prepare(directory, ports);
    const start = (program: string, ...args: string[]): void => {
      daemons.push(startDaemon(directory, program, args));
    };
    start("ceph-mon", "-i", "a");
    await startStorage(directory, start);
    await ceph(directory, "radosgw-admin", [
      "user",
      "create",
      "--uid=tidemark",
      "--display-name=tidemark",
      `--access-key=${credentials.accessKeyId}`,
      `--secret-key=${credentials.secretAccessKey}`,
    ]);
    start("radosgw", "-n", "client.rgw");
    const endpoint = `http://127.0.0.1:${ports.http}`;
    await waitFor(`the gateway at ${endpoint}`, async () => (await fetch(endpoint)).ok);
    const tlsEndpoint = `https://localhost:${ports.https}`;
    const access: S3Access = { endpoint, tlsEndpoint, caFile: join(directory, "tls.crt"), ...credentials };
    return {
      ...access,
      createBucket: async (name) => createBucket(access, name),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    const logs = await logTails(directory);
    await stop();
    throw new Error(`the Ceph gateway did not start: ${String(error)}\n${logs}`, { cause: error });
  }
}

async function checkPrograms(): Promise<void> {
  const missing: string[] = [];
  for (const program of [...programs, "openssl", dieWithParent.program]) {
    await run("sh", ["-c", `command -v ${program}`]).catch(() => missing.push(program));
  }
  if (missing.length === 0) return;
  throw new Error(
    `these tests need Debian's Ceph gateway, and ${missing.join(", ")} are not installed: ` +
      "apt-get install -y --no-install-recommends ceph-mon ceph-osd radosgw ceph-common openssl util-linux",
  );
}

async function prepare(directory: string, ports: CephPorts): Promise<void> {
  const fsid = randomUUID();
  const monitorMap = join(directory, "monmap");
  await Promise.all(["mon", "osd", "rgw"].map(async (name) => mkdir(join(directory, name))));
  await writeFile(join(directory, "keyring"), "");
  await writeFile(join(directory, "ceph.conf"), formatCephConfig(directory, fsid, ports));
  await run("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split(
      " ",
    ),
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout",
    join(directory, "tls.key"),
    "-out",
    join(directory, "tls.crt"),
  ]);
  await run("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", monitorAddresses(ports), monitorMap]);
  await ceph(directory, "ceph-mon", ["--mkfs", "-i", "a", "--monmap", monitorMap]);
}

async function startStorage(
  directory: string,
  start: (program: string, ...args: string[]) => void,
): Promise<void> {
  const osd = randomUUID();
  await ceph(directory, "ceph", ["osd", "new", osd]);
  await ceph(directory, "ceph-osd", ["-i", "0", "--mkfs", "--osd-uuid", osd]);
  start("ceph-osd", "-i", "0");
  await waitFor("the OSD", async () => {
    const { stdout } = await ceph(directory, "ceph", ["osd", "stat", "--format", "json"]);
    return (JSON.parse(stdout) as { readonly num_up_osds: number }).num_up_osds === 1;
  });
}

async function ceph(
  directory: string,
  program: string,
  args: readonly string[],
): Promise<{ readonly stdout: string }> {
  return run(program, ["-c", join(directory, "ceph.conf"), ...args], { timeout: 120_000 });
}

const dieWithParent = { program: "setpriv", options: ["--pdeathsig", "KILL"] };

/** A daemon that the kernel ends together with this process, should that be killed. */
function startDaemon(directory: string, program: string, args: readonly string[]): ChildProcess {
  const command = [...dieWithParent.options, program, "-c", join(directory, "ceph.conf"), "-f", ...args];
  return spawn(dieWithParent.program, command, { stdio: "ignore" });
}

async function kill(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exit = once(daemon, "exit");
  daemon.kill("SIGKILL");
  await exit;
}

async function waitFor(what: string, ready: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  let last: unknown = "it says no";
  while (performance.now() < deadline) {
    try {
      if (await ready()) return;
    } catch (error) {
      last = error;
    }
    await sleep(200);
  }
  throw new Error(`${what} was not ready within 2 minutes: ${String(last)}`);
}

/** All are held open until all are known, so that they differ. */
async function freePorts(): Promise<CephPorts> {
  const servers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const [monitorV2 = 0, monitorV1 = 0, http = 0, https = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  );
  await Promise.all(servers.map(async (server) => promisify(server.close.bind(server))()));
  return { monitorV2, monitorV1, http, https };
}

async function logTails(directory: string): Promise<string> {
  const names = ["mon.a.log", "osd.0.log", "client.rgw.log"];
  const tails = names.map(async (name) => {
    const text = await readFile(join(directory, name), "utf8").catch(() => "");
    return `${name}:\n${text.split("\n").slice(-8).join("\n")}`;
  });
  return (await Promise.all(tails)).join("\n");
}
