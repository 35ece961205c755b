import { describe, expect, it } from "vitest";
import { formatFacts, formatJson, formatTable, parseOutputFormat } from "./output.ts";
import { createProgressReporter, formatProgress } from "./progress.ts";

describe("output", () => {
  it("aligns tables and facts", () => {
    expect(
      formatTable(
        ["ID", "SIZE"],
        [
          ["a", "1"],
          ["long", "22"],
        ],
        ["SIZE"],
      ),
    ).toBe("ID    SIZE\na        1\nlong    22\n");
    expect(
      formatFacts([
        ["a", "1"],
        ["long", "2"],
      ]),
    ).toBe("a:    1\nlong: 2\n");
  });

  it("writes 64-bit numbers in JSON as text", () => {
    expect(formatJson({ lsn: 2n ** 63n })).toBe('{\n  "lsn": "9223372036854775808"\n}\n');
  });

  it("knows two formats", () => {
    expect(() => parseOutputFormat("xml")).toThrow('"xml" is not an output format');
  });
});

describe("progress", () => {
  it("shows share, rate and remaining time", () => {
    const state = { label: "copying", bytesDone: 1 << 30, bytesTotal: 4 * (1 << 30), elapsedMs: 4000 };

    expect(formatProgress(state)).toBe("copying  1.0 GiB of 4.0 GiB (25 %)  256 MiB/s  about 12.0 s left");
  });

  it("stays quiet for two seconds, then rewrites one line on a terminal and clears it", () => {
    const written: string[] = [];
    const reporter = createProgressReporter({
      isTTY: true,
      columns: 80,
      write: (text) => written.push(text),
    });
    const state = { label: "copying", bytesDone: 1, bytesTotal: 2 };

    reporter.update({ ...state, elapsedMs: 1999 });
    expect(written).toEqual([]);
    reporter.update({ ...state, elapsedMs: 2500 });
    reporter.update({ ...state, elapsedMs: 2550 });
    reporter.finish();

    expect(written.length).toBe(2);
    expect(written[0]).toContain("copying  1 B of 2 B (50 %)");
    expect(written[1]).toBe("\r\u001b[2K");
  });

  it("writes a whole line now and then when there is no terminal", () => {
    const written: string[] = [];
    const reporter = createProgressReporter({ write: (text) => written.push(text) });

    for (let elapsedMs = 0; elapsedMs <= 30_000; elapsedMs += 500) {
      reporter.update({ label: "copying", bytesDone: elapsedMs, bytesTotal: undefined, elapsedMs });
    }

    expect(written.length).toBe(3);
    expect(written[0]?.endsWith("\n")).toBe(true);
  });
});
