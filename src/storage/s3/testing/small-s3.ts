import { compareKeys } from "../../object-key.ts";
import type { Answer, Script, ScriptedRequest } from "./scripted-s3.ts";

/** What a small S3 does otherwise than S3 does. */
export interface SmallS3Quirks {
  /** `If-None-Match: *`: `ignored` writes over what is there, `refused` answers 501. */
  readonly condition?: "honoured" | "ignored" | "refused";
  readonly listOrder?: "bytes" | "utf-16";
  readonly ignoresStartAfter?: boolean;
  /** What it adds to the time of its answers. */
  readonly clockAheadMs?: number;
  readonly keepsVersions?: boolean;
  readonly hidesUploads?: boolean;
  readonly keepsDeleted?: boolean;
  /** Answers instead of itself where it gives something. */
  readonly before?: (request: ScriptedRequest) => Answer | undefined;
}

interface Stored {
  readonly bytes: Buffer;
  readonly headers: ScriptedRequest["headers"];
}

/** A bucket `b` in memory, addressed by path: as much of S3 as the adapter uses, for tests of what servers do differently. */
export class SmallS3 {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, { readonly key: string; readonly parts: Map<number, Buffer> }>();
  readonly requests: ScriptedRequest[] = [];
  readonly #quirks: SmallS3Quirks;
  #uploadCount = 0;

  constructor(quirks: SmallS3Quirks = {}) {
    this.#quirks = quirks;
  }

  readonly script: Script = (request) => {
    this.requests.push(request);
    const given = this.#quirks.before?.(request) ?? this.#answer(request);
    return { ...given, headers: { date: this.#now(), ...given.headers } };
  };

  #now(): string {
    return new Date(Date.now() + (this.#quirks.clockAheadMs ?? 0)).toUTCString();
  }

  #answer(request: ScriptedRequest): Answer {
    const { method, body } = request;
    const { pathname, searchParams: query } = new URL(request.url, "http://b");
    const key = decodeURIComponent(pathname).replace(/^\/b\/?/, "");
    const uploadId = query.get("uploadId");
    if (uploadId !== null) return this.#uploadCall(key, uploadId, query, request);
    if (query.has("uploads")) return method === "GET" ? this.#listUploads() : this.#beginUpload(key);
    if (query.has("delete")) {
      for (const [, name = ""] of body.matchAll(/<Key>([^<]*)<\/Key>/g)) this.#remove(name);
      return { body: "<DeleteResult></DeleteResult>" };
    }
    if (query.has("list-type")) return this.#list(query);
    if (method === "PUT") return this.#put(key, request);
    if (method !== "DELETE") return this.#get(key, request);
    this.#remove(key);
    return { status: 204 };
  }

  #remove(key: string): void {
    if (this.#quirks.keepsDeleted !== true) this.objects.delete(key);
  }

  #put(key: string, { bytes, headers }: ScriptedRequest): Answer {
    const { condition, keepsVersions } = this.#quirks;
    const isConditional = headers["if-none-match"] !== undefined;
    if (isConditional && condition === "refused") return { status: 501, code: "NotImplemented" };
    if (isConditional && condition !== "ignored" && this.objects.has(key)) {
      return { status: 412, code: "PreconditionFailed" };
    }
    this.objects.set(key, { bytes, headers });
    return { headers: { etag: '"e"', ...(keepsVersions === true ? { "x-amz-version-id": "v1" } : {}) } };
  }

  #get(key: string, { method, headers }: ScriptedRequest): Answer {
    const object = this.objects.get(key);
    if (object === undefined) return { status: 404, code: "NoSuchKey" };
    const { bytes } = object;
    const said: Record<string, string> = { etag: '"e"', "last-modified": this.#now() };
    for (const name of ["x-amz-server-side-encryption", "x-amz-storage-class"]) {
      const value = object.headers[name];
      if (typeof value === "string") said[name] = value;
    }
    const whole = { ...said, "content-length": String(bytes.length) };
    if (method === "HEAD") return { headers: whole };
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    if (first === undefined) return { headers: whole, body: bytes };
    const end = last === "" ? bytes.length : Math.min(bytes.length, Number(last) + 1);
    const body = bytes.subarray(Number(first), end);
    const range = `bytes ${first}-${end - 1}/${bytes.length}`;
    return {
      status: 206,
      headers: { ...said, "content-range": range, "content-length": String(body.length) },
      body,
    };
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get("prefix") ?? "";
    const after = this.#quirks.ignoresStartAfter === true ? "" : (query.get("start-after") ?? "");
    const order =
      this.#quirks.listOrder === "utf-16" ? (a: string, b: string) => (a < b ? -1 : 1) : compareKeys;
    const keys = [...this.objects.keys()].filter(
      (key) => key.startsWith(prefix) && compareKeys(key, after) > 0,
    );
    const prefixes = new Set<string>();
    const lines = keys.sort(order).flatMap((key) => {
      const slash = query.get("delimiter") === "/" ? key.indexOf("/", prefix.length) : -1;
      if (slash < 0)
        return [
          `<Contents>${element("Key", key)}<Size>${this.objects.get(key)?.bytes.length}</Size></Contents>`,
        ];
      prefixes.add(key.slice(0, slash + 1));
      return [];
    });
    const common = [...prefixes].map((name) => `<CommonPrefixes>${element("Prefix", name)}</CommonPrefixes>`);
    return {
      body: `<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>${[...lines, ...common].join("")}</ListBucketResult>`,
    };
  }

  #beginUpload(key: string): Answer {
    const id = `u${++this.#uploadCount}`;
    this.uploads.set(id, { key, parts: new Map() });
    return {
      body: `<InitiateMultipartUploadResult>${element("UploadId", id)}</InitiateMultipartUploadResult>`,
    };
  }

  #listUploads(): Answer {
    const shown = this.#quirks.hidesUploads === true ? [] : [...this.uploads];
    const lines = shown.map(
      ([id, { key }]) => `<Upload>${element("Key", key)}${element("UploadId", id)}</Upload>`,
    );
    return {
      body: `<ListMultipartUploadsResult><Bucket>b</Bucket><IsTruncated>false</IsTruncated>${lines.join("")}</ListMultipartUploadsResult>`,
    };
  }

  #uploadCall(key: string, id: string, query: URLSearchParams, { method, bytes }: ScriptedRequest): Answer {
    const upload = this.uploads.get(id);
    if (upload === undefined) return { status: 404, code: "NoSuchUpload" };
    if (method === "PUT") {
      upload.parts.set(Number(query.get("partNumber")), bytes);
      return { headers: { etag: '"p"' } };
    }
    this.uploads.delete(id);
    if (method === "DELETE") return { status: 204 };
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    this.objects.set(key, { bytes: Buffer.concat(parts), headers: {} });
    return {
      body: `<CompleteMultipartUploadResult><ETag>"e-${parts.length}"</ETag></CompleteMultipartUploadResult>`,
    };
  }
}

function element(name: string, text: string): string {
  return `<${name}>${text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</${name}>`;
}
