import { kib } from "../common/units.ts";

/** What a stream of lines is made from: what is there at this moment, and what comes after it. */
export interface LineSource<Item> {
  readonly first: readonly Item[];
  /** Ends what was begun; called once. */
  readonly stop: () => void;
}

export interface LineStreamOptions<Item> {
  /** Called at once: `push` may be called from then on, also later than `stop`. */
  readonly open: (push: (item: Item) => void) => LineSource<Item>;
  /** Called when the line is about to be sent, so that what waits costs little. */
  readonly render: (item: Item) => unknown;
  /** The last line for a client that reads too slowly. */
  readonly overflow: (waiting: number) => unknown;
  /** How many items may wait for the client, beside the first ones. */
  readonly maxWaiting?: number;
}

/** A single application of all that a machine has must not be too much for a client that reads at all. */
const defaultMaxWaiting = 10_000;

/** Lines are sent together up to this size. */
const chunkBytes = 64 * kib;

/**
 * Newline-delimited JSON that goes on until the client leaves. A client that does not read makes nobody wait and fills no
 * memory: when too much waits for it, it is told so by the last line, and has to begin anew.
 */
export function lineStream<Item>(options: LineStreamOptions<Item>): ReadableStream<Uint8Array> {
  const { open, render, overflow, maxWaiting = defaultMaxWaiting } = options;
  const encoder = new TextEncoder();
  let waiting: Item[] = [];
  let lastWords: unknown;
  let isEnded = false;
  let isCancelled = false;
  let wake = (): void => undefined;
  const push = (item: Item): void => {
    if (isEnded) return;
    if (waiting.length >= maxWaiting) {
      lastWords = overflow(waiting.length);
      waiting = [];
      end();
    } else {
      waiting.push(item);
    }
    wake();
  };
  const source = open(push);
  let sent = 0;
  function end(): void {
    if (isEnded) return;
    isEnded = true;
    source.stop();
  }

  /** As many lines as make a chunk; undefined when there is none now. */
  function nextChunk(): Uint8Array | undefined {
    if (lastWords !== undefined) {
      const line = JSON.stringify(lastWords);
      lastWords = undefined;
      // What has not been sent of the first ones is left out too: the client has to begin anew.
      sent = source.first.length;
      return encoder.encode(`${line}\n`);
    }
    let text = "";
    while (text.length < chunkBytes) {
      const item = sent < source.first.length ? source.first[sent++] : waiting.shift();
      if (item === undefined) break;
      text += `${JSON.stringify(render(item))}\n`;
    }
    return text === "" ? undefined : encoder.encode(text);
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          if (isCancelled) return;
          const chunk = nextChunk();
          if (chunk !== undefined) {
            controller.enqueue(chunk);
            return;
          }
          if (isEnded) {
            controller.close();
            return;
          }
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
      cancel() {
        isCancelled = true;
        waiting = [];
        end();
        wake();
      },
    },
    // Nothing is made before somebody reads it.
    { highWaterMark: 0 },
  );
}
