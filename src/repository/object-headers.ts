import type { ObjectHeaders } from "../storage/s3/s3-objects.ts";
import type { RepositorySettings } from "./repository-settings.ts";

type HeaderSettings = Pick<
  RepositorySettings,
  "serverSideEncryption" | "kmsKeyId" | "storageClass" | "objectTags" | "historyTags"
>;

/**
 * What is said to an S3 store of an object that is written under a key of ours: as Barman's `--encryption`, which its two writers
 * take each for themselves, `--tags`, and `--history-tags`, which stands in for it with history files.
 */
export function objectHeaders({
  serverSideEncryption,
  kmsKeyId,
  storageClass,
  objectTags,
  historyTags,
}: HeaderSettings): (key: string) => ObjectHeaders {
  const tags = formatTags(objectTags);
  const tagsOfHistory = historyTags === undefined ? tags : formatTags(historyTags);
  return (key) => {
    const encryption = forKey(serverSideEncryption, key);
    const storage = forKey(storageClass, key);
    const tagging = isHistory(key) ? tagsOfHistory : tags;
    return {
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
      ...(encryption === "aws:kms" && kmsKeyId !== undefined ? { SSEKMSKeyId: kmsKeyId } : {}),
      ...(storage === undefined
        ? {}
        : { StorageClass: storage as NonNullable<ObjectHeaders["StorageClass"]> }),
      ...(tagging === "" ? {} : { Tagging: tagging }),
    };
  };
}

/** Of a setting that may be given for each kind of object. */
function forKey<T extends string>(
  setting: T | { readonly wal?: T | undefined; readonly base?: T | undefined } | undefined,
  key: string,
): T | undefined {
  return typeof setting === "string" ? setting : setting?.[isOfBaseBackup(key) ? "base" : "wal"];
}

const formatTags = (tags: Readonly<Record<string, string>> = {}): string =>
  new URLSearchParams(tags).toString();

/** Keys begin with the server's name (`keys.ts`). */
const isOfBaseBackup = (key: string): boolean => /^[^/]+\/base\//.test(key);
/** Whether it is the key of a timeline's history file. */
export const isHistory = (key: string): boolean =>
  /^[^/]+\/wals\/[0-9A-F]{8}\.history(?:\.[a-z0-9]+)?$/.test(key);
