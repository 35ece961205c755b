import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-secrets-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** One with these files. */
export async function folderWith(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeSecretFile(folder, name, content);
  return folder;
}

export async function writeSecretFile(
  folder: string,
  name: string,
  content: string | Uint8Array,
): Promise<void> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** A shell script that can be run; gives its path. */
export async function scriptIn(folder: string, name: string, text: string): Promise<string> {
  await writeSecretFile(folder, name, `#!/bin/sh\n${text}\n`);
  const path = join(folder, name);
  await chmod(path, 0o755);
  return path;
}

export const neverAborted = new AbortController().signal;

export function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString();
}
