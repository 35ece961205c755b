/**
 * How fast content is encrypted and decrypted, on one core, and how long the event loop is held up by it. Run it with
 * `npm run bench:encryption`; docs/benchmarks.md has what it said.
 */
import { createHistogram } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { pattern } from "../src/storage/testing/conformance/tools.ts";
import { createBody } from "../src/storage/object-body.ts";
import type { ObjectStore, ObjectUpload } from "../src/storage/object-store.ts";
import { byteLength } from "../src/storage/upload-parts.ts";
import { fixedKeys } from "../src/repository/encryption/testing/fixed-keys.ts";
import { withEncryption } from "../src/repository/encryption/with-encryption.ts";
import { mib } from "../src/common/units.ts";

const partBytes = 8 * mib;
const parts = 128;
const rounds = 5;
const total = parts * partBytes;

/** A store that costs next to nothing: it keeps what is put, and drops what is uploaded. */
function memoryStore(): ObjectStore {
  let kept = Buffer.alloc(0);
  const info = (sizeBytes: number) => ({ key: "main/x.age", sizeBytes, modifiedAt: new Date(0) });
  const refuse = (): never => {
    throw new Error("not needed here");
  };
  return {
    url: "memory",
    capabilities: {
      conditionalCreate: true,
      minPartBytes: 1,
      maxPartBytes: 1024 * mib,
      maxParts: 10_000,
      preferredPartBytes: partBytes,
      parallelParts: true,
    },
    startUpload: async (): Promise<ObjectUpload> => {
      let uploaded = 0;
      return {
        writePart: async (_index, pieces) => {
          uploaded += byteLength(pieces);
        },
        complete: async () => info(uploaded),
        abort: async () => undefined,
      };
    },
    put: async (_key, pieces) => {
      kept = Buffer.concat(pieces);
      return info(kept.length);
    },
    get: async () => {
      let at = 0;
      const read = async (): Promise<Uint8Array | undefined> => {
        const chunk = kept.subarray(at, at + 256 * 1024);
        at += chunk.length;
        return chunk.length === 0 ? undefined : chunk;
      };
      return { info: info(kept.length), body: createBody({ read, close: async () => undefined }) };
    },
    head: refuse,
    list: refuse,
    delete: refuse,
    abandonedUploads: refuse,
    abortAbandonedUpload: refuse,
    close: async () => undefined,
  };
}

interface Figures {
  readonly mbPerCpuSecond: number;
  readonly holdMs: number;
}

/** Of this thread alone: what others do on the machine does not count as held. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** How much CPU `work` takes, and how far the turns of the event loop are apart meanwhile. */
async function measured(work: () => Promise<void>): Promise<Figures> {
  const turns = createHistogram();
  let last = threadCpuMs();
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await setImmediate();
      const now = threadCpuMs();
      turns.record(Math.max(1, Math.round((now - last) * 1000)));
      last = now;
    }
  };
  const watching = watch();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  over.abort();
  await watching;
  return {
    mbPerCpuSecond: total / 1e6 / ((user + system) / 1e6),
    holdMs: turns.max / 1000,
  };
}

const below = memoryStore();
const store = withEncryption(below, { keys: fixedKeys(), root: "main/" });
const part = pattern(partBytes, 1);

async function encrypt(): Promise<void> {
  const upload = await store.startUpload("main/x", { partBytes });
  for (let index = 0; index < parts; index++) await upload.writePart(index, [part]);
  await upload.complete();
}

async function decrypt(): Promise<void> {
  for (let read = 0; read < total;) {
    const opened = await store.get("main/x");
    for await (const chunk of opened?.body ?? []) {
      read += chunk.length;
      // As a file or a socket would: each chunk has come in a turn of its own.
      await setImmediate();
    }
  }
}

await store.put("main/x", [part, part, part, part]);
console.log(`${total / mib} MiB in parts of ${partBytes / mib} MiB`);
for (let round = 1; round <= rounds; round++) {
  const encrypted = await measured(encrypt);
  const decrypted = await measured(decrypt);
  const memory = process.memoryUsage();
  const show = ({ mbPerCpuSecond, holdMs }: Figures): string =>
    `${mbPerCpuSecond.toFixed(0)} MB per second of CPU, the loop held for at most ${holdMs.toFixed(1)} ms`;
  console.log(
    `round ${round}: encrypted ${show(encrypted)}; decrypted ${show(decrypted)}; heap and buffers ${((memory.heapUsed + memory.external) / mib).toFixed(0)} MiB`,
  );
}
