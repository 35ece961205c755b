import { expect, test } from "vitest";
import { parseConfig } from "./config.ts";
import { storedForms } from "./stored-forms.ts";

const config = parseConfig(
  `
repositories:
  - { name: near, url: /near }
  - { name: barman, url: /barman, compression: { base: gzip }, level: { wal: 3, base: 6 } }
backup: { compression: zstd, level: 5, policy: all, maxBehind: 16MiB, maxHoldUpSeconds: 60 }
`,
  "tidemark.yaml",
);
const noFlags = { compression: undefined, level: undefined };

test("a repository's own form wins over the one for all, and flags win over both", () => {
  const base = storedForms("base", config, noFlags);
  const wal = storedForms("wal", config, noFlags);
  const flags = storedForms("base", config, { compression: "lz4", level: undefined });

  expect([...base.forms]).toEqual([
    ["near", { codec: "zstd", level: 5 }],
    ["barman", { codec: "gzip", level: 6 }],
  ]);
  expect([...wal.forms]).toEqual([
    ["near", { codec: "zstd" }],
    ["barman", { codec: "zstd", level: 3 }],
  ]);
  expect([...flags.forms.values()].map(({ codec }) => codec)).toEqual(["lz4", "lz4"]);
});

test("what may wait for a slow repository is a part of the configuration", () => {
  expect(config.backup).toMatchObject({ policy: "all", maxBehind: 16 * 2 ** 20, maxHoldUpSeconds: 60 });
  expect(() => parseConfig("backup: { policy: some }", "tidemark.yaml")).toThrow("backup.policy");
  expect(() => parseConfig("repositories: [{ url: /a, compression: zip }]", "tidemark.yaml")).toThrow(
    "repositories.0.compression",
  );
});
