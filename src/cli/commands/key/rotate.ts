import { systemClock } from "../../../common/clock.ts";
import { EngineError } from "../../../common/errors.ts";
import {
  replaceKeys,
  requireKeys,
  sameLock,
  withNewKey,
} from "../../../repository/encryption/change-keys.ts";
import { formatJson, parseOutputFormat } from "../../output.ts";
import { openKeyTarget, wantedLock, type KeyOptions, type LockOptions } from "./key-target.ts";
import { keysJson } from "./list.ts";

interface RotateOptions extends KeyOptions, LockOptions {
  readonly newIdentity?: boolean;
}

/** `tidemark key rotate`: other recipients or another passphrase, and with `--new-identity` a new key for new objects. */
export async function run(options: RotateOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const wanted = await wantedLock(options);
  if (wanted === undefined && options.newIdentity !== true) {
    throw new EngineError("usage", "nothing is to be changed", {
      hint: "Name the new recipients (--recipient), a new passphrase (--new-passphrase-file), or begin a new identity (--new-identity).",
    });
  }
  await using target = await openKeyTarget(options, signal);
  const { repository } = target;
  const operatorKey = await target.operatorKey();
  const before = await requireKeys(repository, operatorKey, signal);
  const keys = options.newIdentity === true ? withNewKey(before, systemClock.now()) : before;
  const lock = wanted ?? sameLock(before, operatorKey);
  await replaceKeys(repository, keys, lock, signal);
  const recipients = lock.kind === "recipients" ? lock.recipients : [];
  if (format === "json") {
    process.stdout.write(formatJson(keysJson(repository.name, { ...keys, recipients })));
    return;
  }
  const who = lock.kind === "recipients" ? `opened by ${recipients.join(", ")}` : "opened with a passphrase";
  process.stdout.write(`the keys of repository ${repository.name} are ${who}\n`);
  if (options.newIdentity === true) {
    process.stdout.write(
      `new objects are encrypted to ${keys.keys.at(-1)?.key.recipient ?? ""}, by every process that is started from now on\n`,
    );
  }
}
