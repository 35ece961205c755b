/**
 * The directory adapter: a local disk or a mounted file system as an object store. Keys are paths below the root.
 *
 * Every object is written to a hidden file beside its place, synced, renamed, and its directory synced: readers and
 * lists see whole objects only, and nothing is acknowledged before it would survive a power cut. (On network file
 * systems it is the server that decides what a sync is worth.)
 */
import { constants } from "node:fs";
import { open, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { throwIfAborted } from "../../common/abort.ts";
import { makeDurableDirectory } from "../../common/durable-file.ts";
import { assert, EngineError, systemErrorCode } from "../../common/errors.ts";
import { gib, kib, mib } from "../../common/units.ts";
import { createBody } from "../object-body.ts";
import { checkKeyPrefix, checkObjectKey } from "../object-key.ts";
import type {
  AbandonedUpload,
  ByteRange,
  CallOptions,
  ObjectInfo,
  ObjectStore,
  OpenObject,
  StoreCapabilities,
  UploadOptions,
  WriteOptions,
} from "../object-store.ts";
import { checkPartBytes } from "../upload-parts.ts";
import { DurableTree } from "./durable-tree.ts";
import { fileStoreError, noDirectory, rootMissing } from "./file-errors.ts";
import {
  isAbsent,
  listFiles,
  listTemporaries,
  objectInfo,
  statObject,
  type FileListOptions,
} from "./file-list.ts";
import { createFileUpload } from "./file-upload.ts";
import { TemporaryFile } from "./temporary-file.ts";
import { isReservedName, maxStepBytes, parseTemporaryName } from "./temporary-name.ts";

export interface FileStoreOptions extends CallOptions {
  /** The directory; a relative path is taken from the working directory. */
  readonly root: string;
  /** Make the root, and its parents, when missing. Default false: a missing root is mostly a disk that is not mounted. */
  readonly createRoot?: boolean;
  /** Open without looking at the root: while it is missing or may not be entered, every call says so. Default false. */
  readonly allowMissingRoot?: boolean;
  /** Permissions of new objects, subject to the umask. Default 0600: backups hold everything the database holds. */
  readonly fileMode?: number;
  /** Permissions of new directories, subject to the umask. Default 0700. */
  readonly directoryMode?: number;
}

/** Bytes per chunk of a body: below glibc's limit for returning memory to the kernel on every free, and few calls. */
const readChunkBytes = 256 * kib;

/**
 * Opens a directory as an object store. Throws `store-missing` when it does not exist (and `createRoot` is not set) or
 * is no directory, `store-denied` when it may not be read. A root that is made is made durably. Nothing needs closing.
 */
export async function openFileStore(options: FileStoreOptions): Promise<ObjectStore> {
  throwIfAborted(options.signal);
  const root = resolve(options.root);
  try {
    if (options.createRoot === true) await makeDurableDirectory(root, options.directoryMode ?? 0o700);
    if (options.allowMissingRoot !== true && !(await stat(root)).isDirectory()) throw noDirectory(root);
    return new FileStore(root, options);
  } catch (error) {
    throw isAbsent(error) ? rootMissing(root) : fileStoreError("open the store", root, error);
  }
}

class FileStore implements ObjectStore {
  readonly url: string;
  readonly #root: string;
  /**
   * The file system the store is on, from the first object on that was found or written there. Not from the start: an
   * agent that was started before the disk was mounted must not take the empty mount point for the right place.
   */
  #device: number | undefined;
  readonly #fileMode: number;
  readonly #tree: DurableTree;
  #hardLinks = true;

  constructor(root: string, options: FileStoreOptions) {
    this.url = root;
    this.#root = root;
    this.#fileMode = options.fileMode ?? 0o600;
    this.#tree = new DurableTree(root, options.directoryMode ?? 0o700);
  }

  get capabilities(): StoreCapabilities {
    return {
      conditionalCreate: this.#hardLinks,
      minPartBytes: 1,
      maxPartBytes: gib,
      maxParts: 1_000_000,
      preferredPartBytes: 8 * mib,
      parallelParts: true,
    };
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    throwIfAborted(options.signal);
    this.#checkKey(key);
    return this.#attempt(`look at "${key}"`, async () => {
      const device = this.#device ?? (await this.#checkRoot());
      const info = await statObject(this.#root, key);
      if (info === undefined) await this.#checkRoot();
      else this.#device ??= device;
      return info;
    });
  }

  async *list(prefix: string, options: FileListOptions = {}): ReturnType<typeof listFiles> {
    checkKeyPrefix(prefix);
    await this.#checkRoot();
    try {
      yield* listFiles(this.#root, prefix, options);
    } catch (error) {
      throw fileStoreError(`list "${prefix}"`, this.#root, error);
    }
  }

  async get(
    key: string,
    options: CallOptions & { readonly range?: ByteRange } = {},
  ): Promise<OpenObject | undefined> {
    throwIfAborted(options.signal);
    this.#checkKey(key);
    return this.#attempt(`read "${key}"`, async () => {
      const device = this.#device ?? (await this.#checkRoot());
      const handle = await this.#openForReading(key);
      if (handle === undefined) {
        await this.#checkRoot();
        return undefined;
      }
      this.#device ??= device;
      try {
        const stats = await handle.stat();
        if (stats.isFile()) return this.#openObject(handle, objectInfo(key, stats), options);
        await handle.close();
        return undefined;
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  }

  async #openForReading(key: string): Promise<FileHandle | undefined> {
    try {
      // Links are not objects, and opening a pipe would wait for its writer.
      return await open(
        join(this.#root, key),
        constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      );
    } catch (error) {
      if (isAbsent(error) || systemErrorCode(error) === "ELOOP") return undefined;
      throw error;
    }
  }

  #openObject(
    handle: FileHandle,
    info: ObjectInfo,
    options: CallOptions & { readonly range?: ByteRange },
  ): OpenObject {
    let position = options.range?.startByte ?? 0;
    const end = Math.min(options.range?.endByte ?? info.sizeBytes, info.sizeBytes);
    if (position > info.sizeBytes) {
      throw new EngineError(
        "object-corrupt",
        `could not read "${info.key}" in "${this.#root}" from byte ${position}: it has only ${info.sizeBytes} bytes`,
      );
    }
    let closed = false;
    return {
      info,
      body: createBody({
        read: async () =>
          this.#attempt(`read "${info.key}"`, async () => {
            throwIfAborted(options.signal);
            const length = Math.min(readChunkBytes, end - position);
            if (length <= 0) return undefined;
            const { bytesRead, buffer } = await handle.read(
              Buffer.allocUnsafeSlow(length),
              0,
              length,
              position,
            );
            position += bytesRead;
            if (bytesRead > 0) return buffer.subarray(0, bytesRead);
            throw new EngineError(
              "object-corrupt",
              `could not read "${info.key}" in "${this.#root}": it was cut to ${position} bytes while being read`,
            );
          }),
        close: async () => {
          if (closed) return;
          closed = true;
          await handle.close();
        },
      }),
    };
  }

  async put(key: string, pieces: readonly Uint8Array[], options: WriteOptions = {}): Promise<ObjectInfo> {
    throwIfAborted(options.signal);
    this.#checkKey(key);
    return this.#attempt(`write "${key}"`, async () => {
      await this.#checkRoot();
      if (options.ifAbsent === true) await this.#checkAbsent(key);
      const file = await TemporaryFile.create(join(this.#root, key), this.#tree, this.#fileMode);
      try {
        await file.write(pieces, 0, options);
        return await this.#publish(file, key, options);
      } finally {
        await file.dispose();
      }
    });
  }

  async startUpload(key: string, options: UploadOptions = {}): ReturnType<ObjectStore["startUpload"]> {
    throwIfAborted(options.signal);
    this.#checkKey(key);
    const partBytes = options.partBytes ?? this.capabilities.preferredPartBytes;
    checkPartBytes(partBytes, this.capabilities);
    return this.#attempt(`start to write "${key}"`, async () => {
      await this.#checkRoot();
      if (options.ifAbsent === true) await this.#checkAbsent(key);
      const file = await TemporaryFile.create(join(this.#root, key), this.#tree, this.#fileMode);
      return createFileUpload({
        file,
        partBytes,
        maxParts: this.capabilities.maxParts,
        publish: async (callOptions) =>
          this.#publish(file, key, { ifAbsent: options.ifAbsent === true, ...callOptions }),
        attempt: async (action, fn) => this.#attempt(`${action} "${key}"`, fn),
      });
    });
  }

  async #publish(file: TemporaryFile, key: string, options: WriteOptions): Promise<ObjectInfo> {
    // After a time-out nobody waits any more, and the memory that was written from may have been used for other bytes.
    throwIfAborted(options.signal);
    const device = await this.#checkRoot();
    const info = await this.#publishOn(file, key, options);
    this.#device ??= device;
    return info;
  }

  async #publishOn(file: TemporaryFile, key: string, options: WriteOptions): Promise<ObjectInfo> {
    if (options.ifAbsent !== true) return objectInfo(key, await file.publish("replace"));
    try {
      if (this.#hardLinks) return objectInfo(key, await file.publish("exclusive"));
    } catch (error) {
      const code = systemErrorCode(error) ?? "";
      if (code === "EEXIST") throw this.#exists(key);
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code)) throw error;
      // exFAT and many user-space file systems have no hard links.
      this.#hardLinks = false;
    }
    await this.#checkAbsent(key);
    return objectInfo(key, await file.publish("replace"));
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) this.#checkKey(key);
    await this.#checkRoot();
    const directories = new Set<string>();
    for (const key of keys) {
      throwIfAborted(options.signal);
      await this.#attempt(`delete "${key}"`, async () => {
        if ((await statObject(this.#root, key)) === undefined) return;
        await rm(join(this.#root, key), { force: true });
        directories.add(dirname(join(this.#root, key)));
      });
    }
    for (const directory of directories) {
      await this.#attempt("delete objects", async () => this.#tree.prune(directory));
    }
  }

  async *abandonedUploads(prefix: string, options: CallOptions = {}): ReturnType<typeof listTemporaries> {
    checkKeyPrefix(prefix);
    await this.#checkRoot();
    try {
      yield* listTemporaries(this.#root, prefix, options);
    } catch (error) {
      throw fileStoreError(`list unfinished uploads below "${prefix}"`, this.#root, error);
    }
  }

  async abortAbandonedUpload(upload: AbandonedUpload, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#checkKey(upload.key);
    const path = join(this.#root, upload.key);
    assert(
      parseTemporaryName(upload.uploadId) !== undefined && !upload.uploadId.includes("/"),
      "an upload of this store",
    );
    await this.#attempt(`abort the upload of "${upload.key}"`, async () => {
      await rm(join(dirname(path), upload.uploadId), { force: true });
      await this.#tree.prune(dirname(path));
    });
  }

  async close(): Promise<void> {
    // Nothing is held open between calls.
  }

  #checkKey(key: string): void {
    checkObjectKey(key);
    for (const step of key.split("/")) {
      if (!isReservedName(step) && Buffer.byteLength(step) <= maxStepBytes) continue;
      throw new EngineError("usage", `"${key}" cannot be a key in the directory "${this.#root}"`, {
        hint: `Each step of the key must have at most ${maxStepBytes} bytes and not begin with ".tidemark-".`,
      });
    }
  }

  /** Early answer for a taken name, before the content is written for nothing. */
  async #checkAbsent(key: string): Promise<void> {
    if ((await statObject(this.#root, key)) !== undefined) throw this.#exists(key);
  }

  #exists(key: string): EngineError {
    return new EngineError("object-exists", `"${key}" exists already in "${this.#root}"`);
  }

  /**
   * Asked before every write and every answer "there is none": when the disk is unmounted while we run, its empty mount
   * point is no empty repository, and nothing may be acknowledged that went there. Gives the file system it is on.
   */
  async #checkRoot(): Promise<number> {
    let device: number;
    try {
      const stats = await stat(this.#root);
      if (!stats.isDirectory()) throw noDirectory(this.#root);
      device = stats.dev;
    } catch (error) {
      throw isAbsent(error)
        ? rootMissing(this.#root)
        : fileStoreError("look at the store", this.#root, error);
    }
    if (this.#device === undefined || device === this.#device) return device;
    throw new EngineError(
      "store-missing",
      `directory "${this.#root}" is on another file system than when it was first used`,
      {
        hint: "Its disk was probably unmounted: mount it again. If it was replaced on purpose, restart this program.",
      },
    );
  }

  async #attempt<T>(action: string, fn: () => Promise<T>): Promise<T> {
    try {
      return await fn();
    } catch (error) {
      throw fileStoreError(action, this.#root, error);
    }
  }
}
