import { z } from "zod";
import { codecNames } from "../codec/codec.ts";
import { parseBytes } from "../common/units.ts";
import { describeError } from "../common/errors.ts";
import { azureSettingsShape } from "./azure-settings.ts";
import { s3SettingsShape } from "./s3-settings.ts";

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

/** What opens an encrypted repository: a file of mode 0600 with an age identity, or with a passphrase. */
const encryptionSettings = z.union([
  z.strictObject({ identityFile: z.string() }),
  z.strictObject({ passphraseFile: z.string() }),
]);

export type EncryptionSettings = z.infer<typeof encryptionSettings>;

const compression = z.enum(codecNames);
const level = z.number().int();

/** Where a repository is and how to get at it, as configuration files say it. */
export const repositorySettings = z.strictObject({
  /** What it is called in messages; `repo1`, `repo2`, … when left out. */
  name: z.string().optional(),
  /** What the PostgreSQL system is called in this repository; as everywhere else when left out. */
  server: z.string().optional(),
  /** `s3://bucket/path`, `gs://bucket/path`, `file:///path` or a plain path. */
  url: z.string(),
  ...s3SettingsShape,
  ...azureSettingsShape,
  /** Everything is encrypted before it leaves this machine. From the first object on, or not at all. */
  encryption: encryptionSettings.optional(),
  /** Of what is written here, all of it or each as said; as everywhere else when left out. A level goes with its codec. */
  compression: z
    .union([compression, z.strictObject({ wal: compression.optional(), base: compression.optional() })])
    .optional(),
  level: z.union([level, z.strictObject({ wal: level.optional(), base: level.optional() })]).optional(),
  maxBytesPerSecond: byteSize.optional(),
});

export type RepositorySettings = z.infer<typeof repositorySettings>;
