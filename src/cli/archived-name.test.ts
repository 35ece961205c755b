import { expect, test } from "vitest";
import { parseArchivedName } from "./archived-name.ts";

test.each([
  ["pg", { kind: "Cluster", name: "pg" }],
  ["cluster/pg", { kind: "Cluster", name: "pg" }],
  ["server/main", { kind: "Server", name: "main" }],
  ["servers.tidemark.dev/main", { kind: "Server", name: "main" }],
])("%s names what has an archive", (text, name) => {
  expect(parseArchivedName(text)).toEqual(name);
});

test.each([
  ["backup/daily", '"backup/daily" names neither a Cluster nor a Server'],
  ["serve/main", 'there is no kind "serve"'],
])("%s does not", (text, message) => {
  expect(() => parseArchivedName(text)).toThrow(expect.objectContaining({ code: "usage", message }));
});
