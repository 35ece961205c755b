import { expect, it } from "vitest";
import { testServer } from "../postgres/testing/test-server.ts";
import { lockServerForBackup, unlockServer } from "./backup-lock.ts";

it("holds for the whole server, whichever database a session is in, until it is given back", async () => {
  await using server = await testServer();
  await using first = await server.connect();
  await using second = await server.connect();
  await using elsewhere = await server.connect({ database: "template1" });
  await lockServerForBackup(first);

  await expect(lockServerForBackup(second)).rejects.toMatchObject({ code: "locked" });
  await expect(lockServerForBackup(elsewhere)).rejects.toMatchObject({ code: "locked" });
  await unlockServer(first);

  await lockServerForBackup(elsewhere);
  await expect(lockServerForBackup(first)).rejects.toMatchObject({ code: "locked" });
});
