import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { describeError } from "../common/errors.ts";
import { Secret } from "../common/log.ts";
import { parseConnectionUrl, resolveConnection } from "./connection-settings.ts";

const plain = (settings: { password?: Secret | undefined }) =>
  Object.fromEntries(
    Object.entries({ ...settings, password: settings.password?.reveal() }).filter(
      ([, value]) => value !== undefined,
    ),
  );

function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}

test.each([
  ["postgres://", {}],
  ["postgresql://db.example", { host: "db.example" }],
  [
    "postgres://me:p%40ss%2F@db:6543/my%20db",
    { user: "me", password: "p@ss/", host: "db", port: 6543, database: "my db" },
  ],
  ["postgres://me@[::1]:1/x", { user: "me", host: "::1", port: 1, database: "x" }],
  ["postgres:///x?host=/tmp&port=6000&user=u", { database: "x", host: "/tmp", port: 6000, user: "u" }],
  ["postgres://%2Ftmp/x", { host: "/tmp", database: "x" }],
  [
    "postgres://h/x?sslmode=verify-full&sslrootcert=/ca.pem",
    { host: "h", database: "x", sslMode: "verify-full", sslRootCertificate: "/ca.pem" },
  ],
  ["postgres://h?sslmode=prefer", { host: "h", sslMode: "disable" }],
])("the URL %s is taken apart", (url, expected) => {
  expect(plain(parseConnectionUrl(new Secret(url)))).toEqual(expected);
});

test.each([
  ["mysql://me:s3cret@h/x", "the connection URL is not understood"],
  ["postgres://me:s3cret@h:x/y", "the connection URL is not understood"],
  ["postgres://me:s3cret%@h", "the connection URL is not understood"],
  ["postgres://me:s3cret@h?options=-c", `the connection URL has the unknown option "options"`],
  ["postgres://me:s3cret@h:70000", `"70000" is not a port number`],
  ["postgres://me:s3cret@h?sslmode=maybe", `"maybe" is not an sslmode`],
])("the URL %s is refused without showing its password", (url, message) => {
  const error = thrownBy(() => parseConnectionUrl(new Secret(url)));

  expect(describeError(error)).toBe(message);
  expect(inspect(error)).not.toContain("s3cret");
});

test("what is given wins over the URL, the URL over the environment, that over the defaults", async () => {
  const environment = { PGHOST: "env", PGPORT: "1111", PGUSER: "env", PGDATABASE: "env", PGPASSWORD: "env" };

  const resolved = await resolveConnection(
    { url: new Secret("postgres://url@url/"), host: "given" },
    environment,
  );

  expect(plain(resolved)).toEqual({
    host: "given",
    port: 1111,
    user: "url",
    database: "env",
    password: "env",
    sslMode: "disable",
  });
});

test("without anything the socket folder that has a socket is used, and the database of the user's name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  try {
    await writeFile(join(folder, ".s.PGSQL.5433"), "");

    const found = await resolveConnection({ user: "me" }, { PGPORT: "5433" }, ["/nowhere", folder]);
    const none = await resolveConnection({ user: "me" }, {}, ["/nowhere", folder]);

    expect(plain(found)).toEqual({
      host: folder,
      port: 5433,
      user: "me",
      database: "me",
      sslMode: "disable",
    });
    expect(none.host).toBe("/nowhere");
  } finally {
    await rm(folder, { recursive: true });
  }
});
