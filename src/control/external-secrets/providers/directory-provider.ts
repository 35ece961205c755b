import { constants, type Dirent } from "node:fs";
import { open, readdir, realpath } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { throwIfAborted } from "../../../common/abort.ts";
import { describeError, EngineError, systemErrorCode } from "../../../common/errors.ts";
import { jsonProperty } from "../json-property.ts";
import {
  maxSecretBytes,
  refuseVersion,
  withoutFinalNewline,
  type SecretProvider,
  type SecretReference,
  type SecretSearch,
} from "../secret-provider.ts";

/**
 * Secrets as files: `<directory>/<key>`, where a key may have slashes. With a property the file is JSON. Links are followed
 * as long as they stay within the directory, as those of a mounted Kubernetes Secret do.
 */
export class DirectoryProvider implements SecretProvider {
  readonly title: string;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.title = `directory "${directory}"`;
  }

  async get(reference: SecretReference, signal: AbortSignal): Promise<Uint8Array | undefined> {
    refuseVersion(this, reference);
    throwIfAborted(signal);
    const { key, property } = reference;
    const content = await this.#read(await this.#root(), key);
    if (content === undefined || property === undefined) return content;
    const part = jsonProperty(content, property);
    if (part === "absent") return undefined;
    if (part !== "no-json") return part;
    throw new EngineError(
      "secret-unavailable",
      `"${key}" in ${this.title} is not JSON, and property "${property}" of it was asked for`,
      { hint: "Leave remoteRef.property out, or write the file as a JSON object." },
    );
  }

  async find({ path, matches }: SecretSearch, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>> {
    const root = await this.#root();
    const found = new Map<string, Uint8Array>();
    const start = path === undefined ? [] : requireSteps(path, this.title);
    for (const key of (await this.#keysBelow(root, start)).toSorted()) {
      throwIfAborted(signal);
      const content = matches(key) ? await this.#read(root, key) : undefined;
      if (content !== undefined) found.set(key, content);
    }
    return found;
  }

  /** Without the links in its own path, so that what lies below it can be told. */
  async #root(): Promise<string> {
    try {
      return await realpath(this.#directory);
    } catch (cause) {
      throw new EngineError("secret-unavailable", `could not read ${this.title}: ${describeError(cause)}`, {
        cause,
        hint: "Is it there, and may this user enter it?",
      });
    }
  }

  async #read(root: string, key: string): Promise<Uint8Array | undefined> {
    const path = join(root, ...requireSteps(key, this.title));
    try {
      const real = await realpath(path);
      if (!isBelow(root, real)) {
        throw new EngineError("config", `"${key}" leads out of ${this.title}`, {
          hint: "Put the file itself into the directory.",
        });
      }
      // Without waiting for a writer, should it be a pipe.
      const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        const facts = await handle.stat();
        if (facts.isDirectory()) return undefined;
        if (!facts.isFile()) throw new EngineError("config", `"${key}" in ${this.title} is not a file`);
        if (facts.size > maxSecretBytes) throw tooLarge(key, this.title);
        return withoutFinalNewline(await handle.readFile());
      } finally {
        await handle.close();
      }
    } catch (cause) {
      const code = systemErrorCode(cause);
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      if (cause instanceof EngineError) throw cause;
      throw new EngineError(
        "secret-unavailable",
        `could not read "${key}" in ${this.title}: ${describeError(cause)}`,
        { cause },
      );
    }
  }

  /** Keys of all files below some steps. What begins with a dot is left out: `..data` of a mounted Secret, editors' copies. */
  async #keysBelow(root: string, steps: readonly string[]): Promise<readonly string[]> {
    if (!isBelow(root, await realpath(join(root, ...steps)).catch(() => root))) return [];
    const entries = await readdir(join(root, ...steps), { withFileTypes: true }).catch(
      (cause: unknown): readonly Dirent[] => {
        if (systemErrorCode(cause) === "ENOENT" || systemErrorCode(cause) === "ENOTDIR") return [];
        throw new EngineError("secret-unavailable", `could not list ${this.title}: ${describeError(cause)}`, {
          cause,
        });
      },
    );
    const keys: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const below = [...steps, entry.name];
      // Links to directories are not followed here: they could go round in a circle.
      if (entry.isDirectory()) keys.push(...(await this.#keysBelow(root, below)));
      else if (entry.isFile() || entry.isSymbolicLink()) keys.push(below.join("/"));
    }
    return keys;
  }
}

/** Throws `config` for a key that would leave the directory, or that no file can have. */
function requireSteps(key: string, title: string): readonly string[] {
  const steps = key.split("/");
  const isBad = steps.some((step) => step === "" || step === "." || step === ".." || step.includes("\0"));
  if (!isBad) return steps;
  throw new EngineError("config", `"${key.replaceAll("\0", "\\0")}" is not a key in ${title}`, {
    hint: "A key is the path of a file below the directory, such as databases/shop.",
  });
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || !(way === ".." || way.startsWith(`..${sep}`));
}

function tooLarge(key: string, title: string): EngineError {
  return new EngineError("config", `"${key}" in ${title} is larger than the 1 MiB that a Secret may have`);
}
