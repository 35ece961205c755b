import { EngineError } from "../../../common/errors.ts";
import { createKeys } from "../../../repository/encryption/repository-keys.ts";
import { lockOf } from "../../../repository/encryption/lock-keys.ts";
import { readLockedKeys } from "../../../repository/encryption/keys-object.ts";
import { describeRepository } from "../../../repository/repository.ts";
import { formatJson, parseOutputFormat } from "../../output.ts";
import { openKeyTarget, wantedLock, type KeyOptions, type LockOptions } from "./key-target.ts";

/** `tidemark key init`: makes the keys of a repository that holds nothing yet. */
export async function run(options: KeyOptions & LockOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const wanted = await wantedLock(options);
  await using target = await openKeyTarget(options, signal, { kind: "write", spoolDirectory: undefined });
  const { repository } = target;
  const lock = wanted ?? (await lockOf(await target.operatorKey()));
  const isTaken = (await readLockedKeys(repository, signal)) !== undefined;
  if (isTaken || !(await createKeys(repository, lock, { signal }))) {
    throw new EngineError(
      "object-exists",
      `repository "${describeRepository(repository)}" has keys already`,
      {
        hint: "Look at them with tidemark key list; other recipients get in with tidemark key add-recipient.",
      },
    );
  }
  const recipients = lock.kind === "recipients" ? lock.recipients : [];
  if (format === "json") {
    process.stdout.write(formatJson({ repository: repository.name, recipients }));
    return;
  }
  const who = lock.kind === "recipients" ? `for ${recipients.join(", ")}` : "with a passphrase";
  process.stdout.write(
    `repository ${repository.name} is encrypted from now on; its keys are locked ${who}\n`,
  );
  process.stdout.write("Keep a copy of them apart from the store: tidemark key export\n");
}
