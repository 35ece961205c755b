import { signalOption } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { discardBody } from "../../storage/object-body.ts";
import type { CallOptions, ObjectStore } from "../../storage/object-store.ts";
import { interceptStore } from "../../storage/wrappers/intercept.ts";
import { encryptionKeysKey } from "../keys.ts";
import type { ServerName } from "../server-name.ts";

/**
 * The store of a repository for which no key is configured: with the first call it is asked once whether there are keys.
 * Otherwise an encrypted repository would look like an empty one: a restore would take its WAL for absent, and a writer
 * would mix plain objects into it. Every call throws `encryption-key` then.
 */
export function requirePlain(store: ObjectStore, server: ServerName): ObjectStore {
  let isPlain = false;
  const check = async ({ signal }: CallOptions): Promise<void> => {
    if (isPlain) return;
    // Not by `head`: a refusal has its reason in the body of the answer, which that one has none of.
    const keys = await store.get(encryptionKeysKey(server), signalOption(signal));
    if (keys !== undefined) {
      await discardBody(keys);
      throw missingKey(store, server);
    }
    isPlain = true;
  };
  return interceptStore(store, {
    call: async (_call, options, run) => {
      await check(options);
      return run(options);
    },
    listing: (_call, options, open) =>
      checkedFirst(
        async () => check(options),
        () => open(options),
      ),
  });
}

async function* checkedFirst<T>(check: () => Promise<void>, open: () => AsyncIterable<T>): AsyncGenerator<T> {
  await check();
  yield* open();
}

/** What is wrong where an encrypted repository is read without a key. */
export function missingKey(store: ObjectStore, server: ServerName): EngineError {
  return new EngineError(
    "encryption-key",
    `repository "${store.url}/${server}" is encrypted, and no key for it is configured`,
    {
      hint: "Name the operator's key: --identity-file or --passphrase-file, or encryption in the repository's settings.",
    },
  );
}
