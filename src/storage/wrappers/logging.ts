import { systemClock, type Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log, LogFields } from "../../common/log.ts";
import type { ObjectStore } from "../object-store.ts";
import { interceptStore, tapIterable, type StoreCall } from "./intercept.ts";

/** A store that writes one debug line per call, listing and body: what, how long, how much, and how it failed. */
export function withLogging(store: ObjectStore, log: Log, clock: Clock = systemClock): ObjectStore {
  const started = (call: StoreCall): ((fields: LogFields, error?: unknown) => void) => {
    const startMs = clock.monotonicMs();
    return (fields, error) =>
      log.debug(`store ${call.operation}`, {
        store: store.url,
        key: call.key,
        durationMs: Math.round(clock.monotonicMs() - startMs),
        ...fields,
        ...(error === undefined ? {} : { error: describeError(error) }),
      });
  };
  return interceptStore(store, {
    call: async (call, options, run) => {
      const finish = started(call);
      const fields = call.bytes === 0 ? {} : { bytes: call.bytes };
      try {
        const result = await run(options);
        finish(fields);
        return result;
      } catch (error) {
        finish(fields, error);
        throw error;
      }
    },
    listing: (call, options, open) => {
      const finish = started(call);
      let entries = 0;
      return tapIterable(() => open(options), {
        item: () => {
          entries++;
        },
        end: (error) => finish({ entries }, error),
      });
    },
    body: (call, _options, opened) => {
      const finish = started(call);
      let bytes = 0;
      return tapIterable(() => opened.body, {
        item: (chunk) => {
          bytes += chunk.length;
        },
        end: (error) => finish({ bytes, body: true }, error),
      });
    },
  });
}
