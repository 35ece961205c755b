import { EngineError } from "../../common/errors.ts";
import { isSupportedMajor, supportedMajors } from "../../postgres/majors.ts";
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
  if (major !== undefined && !isSupportedMajor(major)) {
    throw new EngineError("usage", `--major is ${major}, which Tidemark does not know`, {
      hint: `Supported are ${supportedMajors.join(", ")}.`,
    });
  }
  await using stage = await setStage({ major, binDirectory: options.binDirectory, keep });
  await new Demo(stage, new Narrator(), signal).play(keep);
}
