import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { readSecretProviders, secretProviderSettings } from "./provider-settings.ts";
import { providerFor } from "./secret-provider.ts";
import { folderWith, neverAborted, scriptIn, textOf } from "./testing/secret-folder.ts";

const read = async (text: string) =>
  readSecretProviders(join(await folderWith({ "settings.yaml": text }), "settings.yaml"), {});

test("each store's name has its provider, and the others the default", async () => {
  const folder = await folderWith({
    "secrets/password": "from a file",
    "settings.yaml": `secret-providers:
  default: files
  stores:
    files: { kind: directory, path: secrets }
    variables: { kind: environment }
    script: { kind: command, command: [./show, "{key}"], environment: { GREETING: hello } }
`,
  });
  await scriptIn(folder, "show", 'echo "$GREETING $1"');
  const environment = { TIDEMARK_SECRET_password: "from the environment" };
  const providers = await readSecretProviders(join(folder, "settings.yaml"), environment);
  const from = async (store: string | undefined) =>
    textOf(await providerFor(providers, store).get({ key: "password" }, neverAborted));

  expect(await from("files")).toBe("from a file");
  expect(await from("variables")).toBe("from the environment");
  expect(await from("script")).toBe("hello password");
  expect(await from("another")).toBe("from a file");
  expect(await from(undefined)).toBe("from a file");
});

test("without a default an unknown store is said, with those that there are", async () => {
  const providers = await read("secret-providers: {stores: {files: {kind: directory, path: /x}}}");

  expect(() => providerFor(providers, "vault")).toThrow('there is no provider for the secret store "vault"');
  expect(() => providerFor(providers, undefined)).toThrow("no secret store is named");
});

describe("settings that are refused", () => {
  test.each([
    ["{}", "secret-providers: expected object, received undefined"],
    ["secret-provider: {}", 'unknown key "secret-provider"'],
    [
      "secret-providers: {stores: {a: {kind: file, path: x}}}",
      "stores.a.kind: expected directory, environment or command",
    ],
    [
      "secret-providers: {stores: {a: {kind: directory}}}",
      "secret-providers.stores.a.path: expected string, received undefined",
    ],
    [
      "secret-providers: {stores: {a: {kind: directory, path: x, mode: y}}}",
      'secret-providers.stores.a: unknown key "mode"',
    ],
    [
      "secret-providers: {stores: {a: {kind: command, command: []}}}",
      "secret-providers.stores.a.command: a program is needed",
    ],
    [
      "secret-providers: {stores: {a: {kind: command, command: bw get}}}",
      "secret-providers.stores.a.command: expected array, received string",
    ],
    [
      "secret-providers: {stores: {a: {kind: command, command: [x], timeout: soon}}}",
      "stores.a.timeout: not a duration such as 90s or 1h30m",
    ],
    ["secret-providers: {stores: {}, default: b}", 'secret-providers.default: there is no store "b"'],
    ["secret-providers: [hunter2", "is not valid YAML"],
  ])("%s", async (text, problem) => {
    const failure: unknown = await read(text).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: "config", message: expect.stringContaining(problem) as string });
    expect(String(failure)).not.toContain("hunter2");
  });

  test("a file that is not there", async () => {
    await expect(readSecretProviders("/no/such/settings.yaml")).rejects.toMatchObject({
      code: "config",
      message: 'could not read the settings "/no/such/settings.yaml": no such file or directory',
    });
  });
});

test("every example of the page is valid", async () => {
  const page = await readFile(join(import.meta.dirname, "../../../docs/external-secrets.md"), "utf8");
  const sections = [...page.matchAll(/```yaml\n(secret-providers:[^]*?)```/g)].map(
    ([, text = ""]) => (parseYaml(text) as Readonly<Record<string, unknown>>)["secret-providers"],
  );

  expect(sections.length).toBeGreaterThan(6);
  for (const section of sections) expect(secretProviderSettings.safeParse(section).error).toBeUndefined();
});
