import { Demo } from "../demo/story.ts";
import { Narrator } from "../demo/narrator.ts";
import { setStage } from "../demo/stage.ts";
import { parseCount } from "../options.ts";

interface DemoOptions {
  readonly keep?: boolean;
  readonly major?: string;
  readonly binDirectory?: string;
}

/** `tidemark demo`: photo, film, accident, rescue, on real PostgreSQL. */
export async function run(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const keep = options.keep === true;
  const major = parseCount("--major", options.major);
  await using stage = await setStage({ major, binDirectory: options.binDirectory, keep });
  await new Demo(stage, new Narrator(), signal).play(keep);
}
