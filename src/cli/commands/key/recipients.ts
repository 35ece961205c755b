import { EngineError } from "../../../common/errors.ts";
import {
  replaceKeys,
  requireKeys,
  withoutRecipients,
  withRecipients,
} from "../../../repository/encryption/change-keys.ts";
import { formatJson, parseOutputFormat } from "../../output.ts";
import { namedRecipients, openKeyTarget, type KeyOptions, type LockOptions } from "./key-target.ts";
import { keysJson } from "./list.ts";

type RecipientOptions = KeyOptions & Pick<LockOptions, "recipientsFile">;

/** `tidemark key add-recipient`: lets somebody else open the repository as well. */
export async function add(
  recipients: readonly string[],
  options: RecipientOptions,
  signal: AbortSignal,
): Promise<void> {
  await change(recipients, options, signal, withRecipients);
}

/** `tidemark key remove-recipient`: from now on the keys do not open for somebody. Who has read them, has them. */
export async function remove(
  recipients: readonly string[],
  options: RecipientOptions,
  signal: AbortSignal,
): Promise<void> {
  await change(recipients, options, signal, withoutRecipients);
}

async function change(
  given: readonly string[],
  options: RecipientOptions,
  signal: AbortSignal,
  lockFor: typeof withRecipients,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const named = await namedRecipients({ ...options, recipient: given });
  if (named.length === 0) {
    throw new EngineError("usage", "no recipient is given", {
      hint: "Name one (age1…), or a file of them with --recipients-file.",
    });
  }
  await using target = await openKeyTarget(options, signal);
  const { repository } = target;
  const keys = await requireKeys(repository, await target.operatorKey(), signal);
  const lock = lockFor(repository, keys, named);
  await replaceKeys(repository, keys, lock, signal);
  const recipients = lock.kind === "recipients" ? lock.recipients : [];
  process.stdout.write(
    format === "json"
      ? formatJson(keysJson(repository.name, { ...keys, recipients }))
      : `the keys of repository ${repository.name} are opened by ${recipients.join(", ")}\n`,
  );
}
