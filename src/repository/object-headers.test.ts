import { expect, test } from "vitest";
import { objectHeaders } from "./object-headers.ts";

const segment = "main/wals/0000000100000000/000000010000000000000001.gz";
const history = "main/wals/00000002.history.gz";
const part = "main/base/20261121T030000/data.tar.gz";

test("history files get the tags that are for them, and all others the general ones", () => {
  const headersOf = objectHeaders({ objectTags: { team: "data & more" }, historyTags: { kept: "for ever" } });

  expect([segment, history, part].map((key) => headersOf(key).Tagging)).toEqual([
    "team=data+%26+more",
    "kept=for+ever",
    "team=data+%26+more",
  ]);
});

test("history files without tags of their own get the general ones, and with none of theirs none", () => {
  expect(objectHeaders({ objectTags: { team: "data" } })(history)).toEqual({ Tagging: "team=data" });
  expect(objectHeaders({ objectTags: { team: "data" }, historyTags: {} })(history)).toEqual({});
});

test("encryption by the store is asked for WAL and base backups each as it was said", () => {
  const headersOf = objectHeaders({ serverSideEncryption: { base: "aws:kms" } });

  expect(headersOf(segment)).toEqual({});
  expect(headersOf(part)).toEqual({ ServerSideEncryption: "aws:kms" });
  expect(objectHeaders({ serverSideEncryption: "AES256" })(segment)).toEqual({
    ServerSideEncryption: "AES256",
  });
});
