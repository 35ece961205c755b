/** The objects of the stand-in for Google's storage, in memory: generations, conditions, lists, unfinished uploads. */
import { createHash } from "node:crypto";
import { crc32c } from "../../common/crc32c.ts";
import { compareKeys } from "../object-key.ts";

export interface StoredObject {
  readonly name: string;
  readonly content: Buffer;
  readonly generation: string;
  readonly timeCreated: string;
  readonly contentEncoding?: string;
}

/** A refusal in Google's terms. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export interface UnfinishedUpload {
  readonly name: string;
  readonly condition: string | null;
  content: Buffer;
  completed?: StoredObject;
}

export interface ListQuery {
  readonly prefix: string;
  readonly delimiter: string;
  readonly startOffset: string;
  readonly pageToken: string;
  readonly maxResults: number;
}

export class StandInBucket {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, UnfinishedUpload>();
  /** Whether content is compared with the checksum that came with it, as Google does. */
  comparesChecksums = true;
  #generation = 1_700_000_000_000_000;

  require(name: string): StoredObject {
    const object = this.objects.get(name);
    if (object === undefined) throw new Refusal(404, "notFound", `No such object: ${name}`);
    return object;
  }

  /** `condition` is what ifGenerationMatch says; generation 0 is that of an object that does not exist. */
  requireGeneration(name: string, condition: string | null): void {
    if (condition === null || condition === (this.objects.get(name)?.generation ?? "0")) return;
    throw new Refusal(
      412,
      "conditionNotMet",
      "At least one of the pre-conditions you specified did not hold.",
    );
  }

  write(
    name: string,
    content: Buffer,
    { condition, checksum }: { readonly condition: string | null; readonly checksum: string | undefined },
  ): StoredObject {
    this.requireGeneration(name, condition);
    if (this.comparesChecksums && checksum !== undefined && checksum !== checksumOf(content)) {
      throw new Refusal(
        400,
        "invalid",
        `Provided CRC32C "${checksum}" doesn't match calculated CRC32C "${checksumOf(content)}".`,
      );
    }
    const generation = String(++this.#generation);
    const object = { name, content, generation, timeCreated: new Date().toISOString() };
    this.objects.set(name, object);
    return object;
  }

  list({ prefix, delimiter, startOffset, pageToken, maxResults }: ListQuery): object {
    const names = [...this.objects.keys()]
      .filter((name) => name.startsWith(prefix) && compareKeys(name, startOffset) >= 0)
      .sort(compareKeys);
    const cut = (name: string): string => {
      const at = delimiter === "" ? -1 : name.indexOf(delimiter, prefix.length);
      return at === -1 ? name : name.slice(0, at + 1);
    };
    const entries = [...new Set(names.map(cut))].filter(
      (entry) => pageToken === "" || compareKeys(entry, Buffer.from(pageToken, "base64").toString()) > 0,
    );
    const page = entries.slice(0, maxResults);
    const last = page.at(-1);
    return {
      kind: "storage#objects",
      prefixes: page.filter((entry) => !this.objects.has(entry)),
      items: page.flatMap((entry) => {
        const object = this.objects.get(entry);
        return object === undefined ? [] : [resourceOf(object)];
      }),
      ...(entries.length > page.length && last !== undefined
        ? { nextPageToken: Buffer.from(last).toString("base64") }
        : {}),
    };
  }
}

/** CRC-32C as Google writes it. Computed apart from what is tested. */
export function checksumOf(content: Buffer): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32c(content));
  return bytes.toString("base64");
}

export function resourceOf({ name, content, generation, timeCreated }: StoredObject): object {
  return {
    kind: "storage#object",
    name,
    size: String(content.length),
    generation,
    timeCreated,
    updated: timeCreated,
    crc32c: checksumOf(content),
    md5Hash: createHash("md5").update(content).digest("base64"),
  };
}
