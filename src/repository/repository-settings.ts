import { z } from "zod";
import { parseBytes } from "../common/units.ts";
import { describeError } from "../common/errors.ts";

/** Sizes as people write them: `16MiB`, or a number of bytes. */
export const byteSize = z.union([
  z.number().int().positive(),
  z.string().transform((text, context) => {
    try {
      return parseBytes(text);
    } catch (error) {
      context.addIssue(describeError(error));
      return z.NEVER;
    }
  }),
]);

const serverSideEncryption = z.enum(["AES256", "aws:kms"]);

/** Where a repository is and how to get at it, as configuration files say it. */
export const repositorySettings = z.strictObject({
  /** What it is called in messages; `repo1`, `repo2`, … when left out. */
  name: z.string().optional(),
  /** What the PostgreSQL system is called in this repository; as everywhere else when left out. */
  server: z.string().optional(),
  /** `s3://bucket/path`, `file:///path` or a plain path. */
  url: z.string(),
  endpoint: z.string().optional(),
  region: z.string().optional(),
  pathStyle: z.boolean().optional(),
  caFile: z.string().optional(),
  /**
   * A JSON file `{"accessKeyId": …, "secretAccessKey": …, "sessionToken": …}` that nobody else may read; it is read again
   * when it changes. Without it: AWS' usual places.
   */
  credentialsFile: z.string().optional(),
  /** S3: the store encrypts what is written, all of it or each as said, and holds the key. Default: as the bucket says. */
  serverSideEncryption: z
    .union([
      serverSideEncryption,
      z.strictObject({ wal: serverSideEncryption.optional(), base: serverSideEncryption.optional() }),
    ])
    .optional(),
  /** S3: tags that every written object gets; history files get `historyTags` instead where those are given. */
  objectTags: z.record(z.string(), z.string()).optional(),
  historyTags: z.record(z.string(), z.string()).optional(),
  maxBytesPerSecond: byteSize.optional(),
});

export type RepositorySettings = z.infer<typeof repositorySettings>;
