import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  serveTestCluster,
  type TestFolder,
  type TestServer,
} from "../../src/postgres/testing/test-server.ts";
import type { ServerBinaries } from "../../src/postgres/server-binaries.ts";
import { formatSetting, giveTo, ownerOf } from "../../src/postgres/settings-file.ts";

/**
 * Starts what another tool unpacked, as its manual says: recovery settings written by hand, `recovery.signal`, start.
 * Resolves once recovery is over. The folder goes away with the server.
 */
export async function recoverByHand(given: {
  readonly folder: TestFolder;
  readonly dataDirectory: string;
  readonly binaries: ServerBinaries;
  /** `restore_command`, and a target or none. */
  readonly settings: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
}): Promise<TestServer> {
  const { folder, dataDirectory, binaries, environment } = given;
  const settings = { ...given.settings, recovery_target_action: "promote" };
  const lines = Object.entries(settings).map(([name, value]) => `${formatSetting(name, value)}\n`);
  await appendFile(join(dataDirectory, "postgresql.auto.conf"), lines.join(""));
  const signal = join(dataDirectory, "recovery.signal");
  await writeFile(signal, "");
  await giveTo(signal, await ownerOf(dataDirectory));
  const restored = await serveTestCluster({
    folder,
    dataDirectory,
    binaries,
    settings: { archive_mode: "off" },
    start: { environment, readyTimeoutMs: 0 },
  });
  try {
    await restored.server.waitUntilPromoted({ timeoutMs: 120_000 });
    return restored;
  } catch (error) {
    await restored[Symbol.asyncDispose]();
    throw error;
  }
}
