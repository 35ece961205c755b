/**
 * A real server of Azure's protocol for tests: Azurite, Microsoft's own emulator, as a process of its own on loopback. It
 * checks signatures, honours conditions under a race and keeps uncommitted blocks as Azure does. Ready in about a second.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { atExit } from "../../src/common/testing/at-exit.ts";

const require = createRequire(import.meta.url);

/** How a test gets at an account of the emulator. */
export interface AzureAccess {
  readonly account: string;
  /** Base64. */
  readonly key: string;
  /** `http://127.0.0.1:port/account`. */
  readonly endpoint: string;
}

export interface Azurite extends AzureAccess, AsyncDisposable {
  /** Makes a container with a name of its own. */
  freshContainer(): Promise<string>;
}

export interface AzuriteOptions {
  /** Speak TLS with this certificate, and take tokens (`Authorization: Bearer`) as well as keys. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

/** Starts an emulator with one account. Disposing ends it, and everything that it stored. */
export async function startAzurite({ tls }: AzuriteOptions = {}): Promise<Azurite> {
  const directory = await mkdtemp(join(tmpdir(), "tidemark-azurite-"));
  const account = "tidemarktest";
  const key = randomBytes(32).toString("base64");
  const main = require.resolve("azurite/dist/src/blob/main.js");
  const settings = "--blobHost 127.0.0.1 --blobPort 0 --inMemoryPersistence --silent";
  const others = "--skipApiVersionCheck --disableTelemetry";
  const oauth = tls === undefined ? [] : ["--cert", tls.certFile, "--key", tls.keyFile, "--oauth", "basic"];
  const child = spawn(process.execPath, [main, ...`${settings} ${others}`.split(" "), ...oauth], {
    cwd: directory,
    env: { PATH: process.env["PATH"], AZURITE_ACCOUNTS: `${account}:${key}` },
    stdio: ["ignore", "pipe", "inherit"],
  });
  // A test run that is stopped short must not leave processes behind.
  const callOff = atExit(() => void child.kill("SIGKILL"));
  const ended = once(child, "close");
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    callOff();
    await rm(directory, { recursive: true, force: true });
  };

  let origin: string | undefined;
  for await (const line of createInterface(child.stdout)) {
    origin = /successfully listens on (\S+)/.exec(line)?.[1];
    if (origin !== undefined) break;
  }
  if (origin === undefined) {
    await stop();
    throw new Error("Azurite did not start");
  }
  const access: AzureAccess = { account, key, endpoint: `${origin}/${account}` };
  return {
    ...access,
    freshContainer: async () => freshContainer(access, tls?.certFile),
    [Symbol.asyncDispose]: stop,
  };
}

async function freshContainer({ account, key, endpoint }: AzureAccess, caFile?: string): Promise<string> {
  const name = `test-${randomUUID()}`;
  const trust = caFile === undefined ? {} : { tlsOptions: { ca: await readFile(caFile, "utf8") } };
  const options = { retryOptions: { maxTries: 1 }, ...trust };
  const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, key), options);
  await service.createContainer(name);
  return name;
}
