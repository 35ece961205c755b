import { formatTime } from "../../../common/units.ts";
import { requireKeys } from "../../../repository/encryption/change-keys.ts";
import type { StoredKeys } from "../../../repository/encryption/stored-keys.ts";
import { formatJson, formatTable, parseOutputFormat } from "../../output.ts";
import { openKeyTarget, type KeyOptions } from "./key-target.ts";

/** `tidemark key list`: the identities of a repository by their public keys, and who can open them. */
export async function run(options: KeyOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  await using target = await openKeyTarget(options, signal);
  const keys = await requireKeys(target.repository, await target.operatorKey(), signal);
  process.stdout.write(
    format === "json" ? formatJson(keysJson(target.repository.name, keys)) : keysText(keys),
  );
}

/** Public keys only; `passphrase` where there are no recipients. */
export function keysJson(repository: string, { keys, recipients }: StoredKeys): Record<string, unknown> {
  return {
    repository,
    lockedFor: recipients.length === 0 ? "passphrase" : "recipients",
    recipients,
    identities: keys.map(({ key, createdAt }) => ({
      publicKey: key.recipient,
      createdAt: createdAt?.toISOString() ?? null,
    })),
  };
}

function keysText({ keys, recipients }: StoredKeys): string {
  const rows = keys.map(({ key, createdAt }, index) => [
    key.recipient,
    createdAt === undefined ? "" : formatTime(createdAt),
    index === keys.length - 1 ? "new objects" : "older objects",
  ]);
  const openers =
    recipients.length === 0
      ? "opened with a passphrase\n"
      : `opened by\n${recipients.map((recipient) => `  ${recipient}\n`).join("")}`;
  return `${formatTable(["IDENTITY", "CREATED", "USED FOR"], rows)}\n${openers}`;
}
