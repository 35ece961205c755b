import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  announceControl,
  chooseControlSocket,
  findControlSocket,
  readControl,
  stateDirectory,
} from "./state-directory.ts";

const home = { HOME: "/home/me" };

test.each([
  ["the option", { state: "/srv/a" }, { env: { TIDEMARK_STATE: "/srv/b" }, uid: 0 }, "/srv/a"],
  ["the environment", {}, { env: { TIDEMARK_STATE: "/srv/b" }, uid: 0 }, "/srv/b"],
  ["root", {}, { env: home, uid: 0 }, "/var/lib/tidemark"],
  ["a user", {}, { env: home, uid: 1000 }, "/home/me/.local/state/tidemark"],
  ["XDG's variable", {}, { env: { ...home, XDG_STATE_HOME: "/x" }, uid: 1000 }, "/x/tidemark"],
  [
    "a relative one",
    {},
    { env: { ...home, XDG_STATE_HOME: "x" }, uid: 1000 },
    "/home/me/.local/state/tidemark",
  ],
  [
    "empty variables",
    {},
    { env: { ...home, TIDEMARK_STATE: "" }, uid: 1000 },
    "/home/me/.local/state/tidemark",
  ],
])("the state directory by %s", (_what, options, surroundings, expected) => {
  expect(stateDirectory(options, surroundings)).toBe(expected);
});

async function temporaryFolder(name = "state"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-state-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const state = join(folder, name);
  await mkdir(state, { recursive: true });
  return state;
}

const surroundings = { env: {}, uid: process.getuid?.() };

test("a command finds the socket by option, environment, or the state directory", async () => {
  const state = await temporaryFolder();

  await expect(findControlSocket({ socket: "/a.sock", state }, surroundings)).resolves.toBe("/a.sock");
  await expect(
    findControlSocket({ state }, { ...surroundings, env: { TIDEMARK_SOCKET: "/b.sock" } }),
  ).resolves.toBe("/b.sock");
  await expect(findControlSocket({ state }, surroundings)).resolves.toBe(join(state, "control.sock"));
  await expect(chooseControlSocket(state)).resolves.toBe(join(state, "control.sock"));
});

test("where the path is too long for a socket, both sides meet at a short one that only its user can enter", async () => {
  const state = await temporaryFolder("long/".repeat(30));

  await expect(findControlSocket({ state }, surroundings)).rejects.toMatchObject({
    code: "control-unreachable",
  });
  const socket = await chooseControlSocket(state);
  onTestFinished(async () => rm(dirname(socket), { recursive: true }));
  await announceControl(state, { pid: 4711, socket });

  expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(100);
  expect((await stat(dirname(socket))).mode & 0o777).toBe(0o700);
  await expect(findControlSocket({ state }, surroundings)).resolves.toBe(socket);
  await expect(readControl(state)).resolves.toEqual({ pid: 4711, socket });
  await expect(chooseControlSocket(state)).resolves.toBe(socket);

  await chmod(dirname(socket), 0o755);
  await expect(chooseControlSocket(state)).rejects.toMatchObject({ code: "config" });
});

test("what is not understood of an announcement is none", async () => {
  const state = await temporaryFolder();

  await expect(readControl(state)).resolves.toBeUndefined();
  for (const text of ["", "{", "{}", '{"pid": "1", "socket": 2}', "null"]) {
    await writeFile(join(state, "control.json"), text);
    await expect(readControl(state)).resolves.toBeUndefined();
  }
});
