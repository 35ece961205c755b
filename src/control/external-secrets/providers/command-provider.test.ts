import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { describeError } from "../../../common/errors.ts";
import { folderWith, neverAborted, scriptIn, temporaryFolder, textOf } from "../testing/secret-folder.ts";
import { CommandProvider, type CommandProviderOptions } from "./command-provider.ts";

function provider(command: readonly string[], options: Partial<CommandProviderOptions> = {}) {
  return new CommandProvider({
    name: "vault",
    command,
    withoutProperty: undefined,
    result: undefined,
    firstLineOnly: false,
    absentStatuses: [],
    timeoutMs: 10_000,
    directory: "/",
    environment: { PATH: process.env["PATH"] },
    ...options,
  });
}

test("what a command prints is the value, without the final newline", async () => {
  const folder = await folderWith({ "r2.txt": "hunter2\n" });

  const value = await provider(["/bin/cat", `${folder}/{key}.txt`]).get({ key: "r2" }, neverAborted);

  expect(textOf(value)).toBe("hunter2");
});

test("key, property and version are arguments of their own, whatever is in them", async () => {
  const script = await scriptIn(await temporaryFolder(), "show", 'printf "%s\\n" "$#" "$@"');

  const value = await provider([script, "{key}", "-field={property}", "v{version}"]).get(
    { key: "a b; rm -rf / $(id) `id` '\"\n", property: "*", version: "1" },
    neverAborted,
  );

  expect(textOf(value)).toBe("3\na b; rm -rf / $(id) `id` '\"\n\n-field=*\nv1");
});

describe("what a value may not be", () => {
  test.each([
    [
      ["cat", "{key}"],
      { key: "--help" },
      'secret "--help" has a key that the command would take for an option',
    ],
    [
      ["cat", "/srv/{key}"],
      { key: "../etc/shadow" },
      'secret "../etc/shadow" has a key that leads to a parent directory',
    ],
    [["cat", "{key}", "{property}"], { key: "a" }, 'secret "a" needs a property'],
    [["cat", "{key}"], { key: "a\0b" }, String.raw`secret "a\0b" has a key with a NUL character in it`],
    [["cat", "{key}"], { key: "a", version: "2" }, 'version "2" of "a" was asked for'],
  ])("%j with %j", async (command, reference, message) => {
    await expect(provider(command).get(reference, neverAborted)).rejects.toThrow(message);
  });

  test("behind -- nothing is an option", async () => {
    expect(textOf(await provider(["/bin/echo", "x", "--", "{key}"]).get({ key: "-n" }, neverAborted))).toBe(
      "x -- -n",
    );
  });
});

test("a property that the command has no place for is a field of what it prints", async () => {
  const folder = await folderWith({ item: '{"login": {"password": "hunter2"}}' });
  const bitwarden = provider(["/bin/cat", "{key}"], { directory: folder });

  expect(textOf(await bitwarden.get({ key: "item", property: "login.password" }, neverAborted))).toBe(
    "hunter2",
  );
  expect(await bitwarden.get({ key: "item", property: "login.x" }, neverAborted)).toBeUndefined();
});

test("without a property another command may be run, the result lie deeper, or be the first line", async () => {
  const folder = await folderWith({
    all: '{"data": {"data": {"id": "AKIA"}}}',
    lines: "hunter2\nuser: shop\n",
  });
  const vault = provider(["/bin/false", "{property}"], {
    directory: folder,
    withoutProperty: ["/bin/cat", "{key}"],
    result: "data.data",
  });
  const pass = provider(["/bin/cat", "{key}"], { directory: folder, firstLineOnly: true });

  expect(textOf(await vault.get({ key: "all" }, neverAborted))).toBe('{"id":"AKIA"}');
  expect(textOf(await pass.get({ key: "lines" }, neverAborted))).toBe("hunter2");
});

test("a failure has the status and the first line of standard error, and nothing secret", async () => {
  const script = await scriptIn(
    await temporaryFolder(),
    "fail",
    String.raw`echo hunter2secret
printf '\n\033[31merror:\033[0m no access to hunter2secret with t0ken-value\nsecond line\n' >&2
exit 3`,
  );
  const failing = provider([script, "{key}"], { environment: { VAULT_TOKEN: "t0ken-value" } });

  const failure: unknown = await failing.get({ key: "a" }, neverAborted).catch((error: unknown) => error);

  expect(describeError(failure)).toBe(
    `command "${script}" of the secret store "vault" ended with status 3: error: no access to [redacted] with [redacted]`,
  );
});

test("an exit status may say that there is no such secret", async () => {
  const script = await scriptIn(await temporaryFolder(), "absent", "exit 44");

  expect(await provider([script], { absentStatuses: [44] }).get({ key: "a" }, neverAborted)).toBeUndefined();
  await expect(provider([script]).get({ key: "a" }, neverAborted)).rejects.toThrow("ended with status 44");
});

test("a program that is not there is named", async () => {
  await expect(provider(["/no/such/program"]).get({ key: "a" }, neverAborted)).rejects.toMatchObject({
    code: "secret-unavailable",
    message: 'there is no program "/no/such/program"',
  });
});

test("what is not JSON is not said when a part of it was asked for", async () => {
  const folder = await folderWith({ a: "hunter2" });
  const failure: unknown = await provider(["/bin/cat", "{key}"], { directory: folder })
    .get({ key: "a", property: "id" }, neverAborted)
    .catch((error: unknown) => error);

  expect(String(failure)).toContain('is not JSON, and "id" of it was asked for');
  expect(String(failure)).not.toContain("hunter2");
});

test("it has no input, and what it prints is bounded", async () => {
  expect(textOf(await provider(["/bin/cat"]).get({ key: "a" }, neverAborted))).toBe("");
  await expect(provider(["/bin/cat", "/dev/zero"]).get({ key: "a" }, neverAborted)).rejects.toThrow(
    "wrote more than a Secret may hold",
  );
});

describe("a command that hangs", () => {
  const hanging = async () => {
    const folder = await temporaryFolder();
    const script = await scriptIn(
      folder,
      "hang",
      `sleep 300 & echo $! > ${folder}/child; echo $$ > ${folder}/self; wait`,
    );
    return { folder, script };
  };
  // What has ended stays in the list of processes until somebody asks how.
  const isAlive = async (pid: number): Promise<boolean> =>
    readFile(`/proc/${pid}/stat`, "utf8").then(
      (stat) => !/\) [ZX] /.test(stat),
      () => false,
    );
  const pids = async (folder: string): Promise<readonly number[]> =>
    Promise.all(["child", "self"].map(async (name) => Number(await readFile(join(folder, name), "utf8"))));
  const allEnded = async (folder: string): Promise<void> => {
    for (const pid of await pids(folder)) {
      for (let tries = 0; (await isAlive(pid)) && tries < 100; tries++) await sleep(20);
      expect(await isAlive(pid)).toBe(false);
    }
  };

  test("is ended after its time, with what it started", async () => {
    const { folder, script } = await hanging();

    await expect(provider([script], { timeoutMs: 3000 }).get({ key: "a" }, neverAborted)).rejects.toThrow(
      `"${script}" did not end within 3.0 s`,
    );

    await allEnded(folder);
  });

  test("is ended when nobody wants it any more", async () => {
    const { folder, script } = await hanging();
    const controller = new AbortController();

    const fetching = provider([script]).get({ key: "a" }, controller.signal);
    await expect
      .poll(async () => readFile(join(folder, "self"), "utf8").catch(() => ""), { timeout: 10_000 })
      .not.toBe("");
    controller.abort();

    await expect(fetching).rejects.toMatchObject({ code: "aborted" });
    await allEnded(folder);
  });
});
