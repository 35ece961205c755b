import { describe, expect, it } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { parseConfig } from "./config.ts";

function problem(text: string): string {
  try {
    parseConfig(text, "tidemark.yaml");
  } catch (error) {
    if (isEngineError(error, "config")) return error.message;
    throw error;
  }
  return "none";
}

describe("the configuration file", () => {
  it("reads everything it documents", () => {
    const config = parseConfig(
      `
server: main
repositories:
  - name: near
    url: /srv/backup
  - url: s3://bucket/path
    endpoint: https://s3.example.org
    region: auto
    pathStyle: true
    credentialsFile: /etc/tidemark/offsite.json
    encryption: { identityFile: /etc/tidemark/identity.txt }
    maxBytesPerSecond: 50MiB
postgres: { dataDirectory: /pg, connection: "postgres:///postgres" }
wal: { compression: gzip, level: 1, concurrency: 4, policy: 1 }
backup: { compression: zstd, maxPartSize: 2GiB }
restore: { concurrency: 4 }
spoolDirectory: /var/spool/tidemark
`,
      "tidemark.yaml",
    );

    expect(config.repositories?.[1]?.maxBytesPerSecond).toBe(50 * 1024 * 1024);
    expect(config.repositories?.[1]?.credentialsFile).toBe("/etc/tidemark/offsite.json");
    expect(config.repositories?.[1]?.encryption).toEqual({ identityFile: "/etc/tidemark/identity.txt" });
    expect(config.backup?.maxPartSize).toBe(2 * 1024 ** 3);
    expect(config.wal?.policy).toBe(1);
  });

  it("takes an empty file for no settings", () => {
    expect(parseConfig("", "tidemark.yaml")).toEqual({});
  });

  it.each([
    ["a misspelt key", "sever: main", /sever/],
    ["a misspelt nested key", "wal: { compresion: gzip }", /wal: .*compresion/],
    ["an unknown codec", "wal: { compression: rar }", /wal\.compression/],
    ["a repository without a URL", "repositories: [{ name: a }]", /repositories\.0\.url/],
    ["broken YAML, with its line", "server: main\nwal: [", /is not valid YAML: line 2: /],
  ])("refuses %s, with its place", (_what, text, expected) => {
    expect(problem(text)).toMatch(expected);
  });
});
