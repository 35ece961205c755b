import { isSupportedMajor, supportedMajors, type PostgresMajor } from "../majors.ts";

/**
 * The major versions that tests run on: those named in TIDEMARK_TEST_MAJORS (`15,17`), else all supported ones.
 * A name that is none is a mistake that would quietly test nothing, so it throws.
 */
export function majorsUnderTest(names = process.env["TIDEMARK_TEST_MAJORS"]): readonly PostgresMajor[] {
  if (names === undefined || names.trim() === "") return supportedMajors;
  return names.split(",").map((name) => {
    const major = Number(name);
    if (!isSupportedMajor(major)) throw new Error(`TIDEMARK_TEST_MAJORS: "${name}" is not a supported major`);
    return major;
  });
}

/** The newest of them, for tests that need one server of any version. */
export function anyMajorUnderTest(): PostgresMajor {
  return majorsUnderTest().at(-1) ?? 17;
}
