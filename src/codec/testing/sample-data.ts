import { createHash } from "node:crypto";

/** Text that does not compress well: md5 sums in hex. The same for the same seed. */
export function hardData(sizeBytes: number, seed = 0): Buffer {
  const data = Buffer.alloc(sizeBytes);
  for (let at = 0, index = 0; at < sizeBytes; index++) {
    at += data.write(createHash("md5").update(`${seed} ${index}`).digest("hex"), at, "latin1");
  }
  return data;
}

/** Data as pages have it: some text, long runs of zero bytes, repetition. */
export function easyData(sizeBytes: number, seed = 0): Buffer {
  const data = Buffer.alloc(sizeBytes);
  for (let at = 0, index = seed; at < sizeBytes; index++) {
    at += data.write(`${index}\t1\t${(index * 7919) % 100_000}\tfiller\n`, at, "latin1") + (index % 9) * 40;
  }
  return data;
}
