import { styleText } from "node:util";
import { formatDuration } from "../../common/units.ts";

/** Tells the story on stdout: in colour on a terminal, plain when piped (and with NO_COLOR). */
export class Narrator {
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void = (text) => process.stdout.write(text)) {
    this.#write = write;
  }

  title(text: string): void {
    this.#write(`\n${styleText(["bold"], text)}\n`);
  }

  scene(number: number, name: string): void {
    this.#write(`\n${styleText(["bold", "cyan"], `${number}  ${name}`)}\n`);
  }

  say(text: string): void {
    this.#write(`   ${text}\n`);
  }

  /** Lines of another report, indented. */
  quote(text: string): void {
    for (const line of text.trimEnd().split("\n")) this.#write(`   ${styleText("dim", `│ ${line}`)}\n`);
  }

  bad(text: string): void {
    this.#write(`   ${styleText("red", `✗ ${text}`)}\n`);
  }

  good(text: string): void {
    this.#write(`   ${styleText("green", `✓ ${text}`)}\n`);
  }

  /** Runs one step and says how long it took. */
  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await work();
    this.#write(`   ${what} ${styleText("dim", `(${formatDuration(performance.now() - began)})`)}\n`);
    return result;
  }
}
