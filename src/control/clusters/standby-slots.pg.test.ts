import { expect, test } from "vitest";
import { testServer } from "../../postgres/testing/test-server.ts";
import { forgetGoneStandbys } from "./standby-slots.ts";

test("a primary forgets the standbys that are gone, and nobody else's slots", async () => {
  await using server = await testServer();
  const { host, port } = server.server.connection;
  const others = ["tidemark_pg_2", "tidemark_pg_other_1", "tidemark_pgx_3", "mine"];
  for (const slot of [...others, "tidemark_pg_3", "tidemark_pg_10"]) {
    await server.sql(`SELECT pg_create_physical_replication_slot('${slot}', true)`);
  }

  const isDone = await forgetGoneStandbys("pg", ["pg-1", "pg-2"], { socketDirectory: host, port });

  const left = await server.sql("SELECT slot_name::text AS name FROM pg_replication_slots ORDER BY 1");
  expect(isDone).toBe(true);
  expect(left.map(({ name }) => name)).toEqual(others.toSorted());
});
