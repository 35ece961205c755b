import { describe, expect, test } from "vitest";
import { bypassesProxy, chooseProxy, describeProxy } from "./proxy-choice.ts";

const chosen = (setting: string | undefined, environment: Readonly<Record<string, string>> = {}) => {
  const choice = chooseProxy(setting, environment);
  return choice === undefined ? undefined : describeProxy(choice);
};

describe("the proxy of a store", () => {
  test.each([
    [undefined, {}, undefined],
    [undefined, { HTTPS_PROXY: "http://proxy:3128" }, "http://proxy:3128"],
    [undefined, { HTTPS_PROXY: "proxy:3128" }, "http://proxy:3128"],
    [undefined, { https_proxy: "http://small:1", HTTPS_PROXY: "http://large:2" }, "http://small:1"],
    [undefined, { HTTP_PROXY: "http://proxy:3128" }, undefined],
    [undefined, { HTTPS_PROXY: "socks5://proxy:1080" }, undefined],
    ["http://own:8080", { HTTPS_PROXY: "http://proxy:3128" }, "http://own:8080"],
    ["direct", { HTTPS_PROXY: "http://proxy:3128" }, undefined],
  ])("with the setting %s and %o is %s", (setting, environment, expected) => {
    expect(chosen(setting, environment)).toBe(expected);
  });

  test("is described without its credentials", () => {
    expect(chosen(undefined, { HTTPS_PROXY: "http://user:geheim@proxy:3128" })).toBe("http://proxy:3128");
  });

  test.each([
    ["proxy:3128", '"proxy:3128" is no proxy'],
    ["socks5://proxy", '"socks5://proxy" is no proxy'],
    ["http://user:geheim@proxy", '"http://proxy/" came with credentials in the URL'],
  ])("is refused as %s", (setting, message) => {
    expect(() => chooseProxy(setting, {})).toThrow(expect.objectContaining({ code: "usage", message }));
  });
});

test.each([
  ["example.org", "example.org", 443, true],
  ["example.org", "s3.example.org", 443, true],
  [".example.org", "s3.example.org", 443, true],
  ["*.example.org", "s3.example.org", 443, true],
  ["example.org", "notexample.org", 443, false],
  ["EXAMPLE.org", "Example.ORG", 443, true],
  ["example.org:8443", "example.org", 443, false],
  ["example.org:8443", "example.org", 8443, true],
  ["10.0.0.0/8", "10.1.2.3", 443, true],
  ["10.0.0.0/8", "11.1.2.3", 443, false],
  ["10.0.0.0/99", "10.1.2.3", 443, false],
  ["10.0.0.0/8", "example.org", 443, false],
  ["127.0.0.1", "127.0.0.1", 443, true],
  ["::1", "::1", 443, true],
  ["fd00::/8", "fd00::1", 443, true],
  ["*", "anything", 443, true],
  ["localhost, example.org", "example.org", 443, true],
  ["", "example.org", 443, false],
])("NO_PROXY=%s for %s:%i: %s", (noProxy, host, port, expected) => {
  const choice = { url: new URL("http://proxy"), isOwn: false, noProxy };

  expect(bypassesProxy(choice, host, port)).toBe(expected);
});
