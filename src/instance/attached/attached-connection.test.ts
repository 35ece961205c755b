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

  test("is not looked for where another one may be, while it does not run", async () => {
    const dataDirectory = await temporaryFolder();
    const down = {
      code: "postgres-failed",
      message: `PostgreSQL does not run: "${dataDirectory}" has no postmaster.pid of a server that is up`,
      hint: "Start it the way it is always started.",
    };

    await expect(attachedConnection({ dataDirectory, connection })).rejects.toMatchObject(down);
    const file = join(dataDirectory, "postmaster.pid");
    await writeFile(file, "5\n/data\n1\n5433\n\n");
    await expect(attachedConnection({ dataDirectory, connection })).rejects.toMatchObject(down);
    await writeFile(file, "5\n/data\n1\n5433\n\nlocalhost\n\nready   \n");
    expect(await attachedConnection({ dataDirectory, connection })).toMatchObject({
      host: "localhost",
      port: 5433,
    });
  });

  test("gets the password that its file holds just now, without the line break at its end", async () => {
    const dataDirectory = await temporaryFolder();
    const passwordFile = join(dataDirectory, "password");
    const given = { dataDirectory, connection: { ...connection, host: "/run/pg", passwordFile } };

    for (const password of ["first", "second"]) {
      await writeFile(passwordFile, `${password}\n`);
      const found = await attachedConnection(given);
      expect(found.password?.reveal()).toBe(password);
      expect(JSON.stringify(found)).not.toContain(password);
    }
    await expect(
      attachedConnection({
        dataDirectory,
        connection: { ...connection, host: "/run/pg", passwordFile: "/nowhere/x" },
      }),
    ).rejects.toMatchObject({ code: "file-io" });
  });
});
