import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { attachedConnection } from "./attached-connection.ts";

const connection = { database: "postgres", sslMode: "disable" } as const;

describe("a server that is not ours", () => {
  test("is looked for where its postmaster.pid says, unless a host is given", async () => {
    const dataDirectory = await temporaryFolder();
    await writeFile(join(dataDirectory, "postmaster.pid"), "5\n/data\n1\n5433\n/run/pg\n\n\nready   \n");

    expect(await attachedConnection({ dataDirectory, connection })).toMatchObject({
      host: "/run/pg",
      port: 5433,
    });
    expect(
      await attachedConnection({ dataDirectory, connection: { ...connection, port: 5434 } }),
    ).toMatchObject({ host: "/run/pg", port: 5434 });
    expect(
      await attachedConnection({ dataDirectory, connection: { ...connection, host: "db.example.org" } }),
    ).toMatchObject({ host: "db.example.org", port: undefined });
  });

  test("is looked for in the usual places while it does not run", async () => {
    const dataDirectory = await temporaryFolder();

    expect(await attachedConnection({ dataDirectory, connection })).toMatchObject({
      host: undefined,
      port: undefined,
    });
  });

  test("gets the password that its file holds just now, without the line break at its end", async () => {
    const dataDirectory = await temporaryFolder();
    const passwordFile = join(dataDirectory, "password");
    const given = { dataDirectory, connection: { ...connection, passwordFile } };

    for (const password of ["first", "second"]) {
      await writeFile(passwordFile, `${password}\n`);
      const found = await attachedConnection(given);
      expect(found.password?.reveal()).toBe(password);
      expect(JSON.stringify(found)).not.toContain(password);
    }
    await expect(
      attachedConnection({ dataDirectory, connection: { ...connection, passwordFile: "/nowhere/x" } }),
    ).rejects.toMatchObject({ code: "file-io" });
  });
});
