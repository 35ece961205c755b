import { expect, test } from "vitest";
import { findGaps, findUnarchived, untilDrained } from "./support/archive-audit.ts";
import { contentsAt } from "./support/restored.ts";
import { addRow, makeTables, readContents, writeSegments } from "./support/rows.ts";
import { startSystem } from "./support/system.ts";

test.each([
  [1, "zstd"],
  [16, "gzip"],
  [64, "none"],
])(
  "segments of %i MiB, stored with %s, are archived, and a backup and its WAL restored",
  async (sizeMib, codec) => {
    await using system = await startSystem({ walSegmentSizeMib: sizeMib });
    const { server } = system;
    await using _agent = await system.agent({ args: ["--compression", codec] });
    await makeTables(server.sql);
    await system.json(["base", "create", "-D", server.dataDirectory, "--compression", codec]);
    await writeSegments(server.sql, 3, 1);
    const middle = await addRow(server.sql, 4);
    await writeSegments(server.sql, 2, 5);
    const end = await readContents(server.sql);
    await untilDrained(server.dataDirectory);

    expect(await findUnarchived(system.repository, server.dataDirectory)).toEqual([]);
    expect(await findGaps(system.repository, sizeMib * 1024 * 1024)).toEqual([]);
    await server.server.stop("fast");
    expect(end?.ids).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await contentsAt(system, ["--to-xid", middle.xid]))?.ids).toEqual([1, 2, 3, 4]);
    expect(await contentsAt(system, ["--to-latest"])).toEqual(end);
  },
);
