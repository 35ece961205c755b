import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../archive/testing/archive-bench.ts";
import { ManualClock } from "../control/loop/testing/manual-clock.ts";
import { serverFolder } from "../control/servers/server-folder.ts";
import { serverDraft } from "../control/servers/testing/sample-server.ts";
import { attachedFolder } from "../instance/attached/attached-folder.ts";
import { logRoutes } from "./log-routes.ts";
import { serverRoutes } from "./server-routes.ts";
import { jsonOf, testApi } from "./testing/test-api.ts";
import { temporaryResources } from "../control/resources/testing/temporary-resources.ts";

const path = "/tidemark/v1/namespaces/production/servers/main";

test("a base backup of a Server is asked for, noted, and refused under a name that is taken", async () => {
  const clock = new ManualClock("2026-11-21T12:00:00.000Z");
  const store = await (await temporaryResources()).open(clock);
  const { app } = await testApi({ routes: serverRoutes({ store, clock }) });
  const ask = async (body: unknown) =>
    app.request(`${path}/backups`, { method: "POST", body: JSON.stringify(body) });
  expect((await ask({})).status).toBe(404);
  store.create(serverDraft());

  const answer = await ask({});
  expect([answer.status, await jsonOf(answer)]).toEqual([201, { backup: "main-20261121120000" }]);
  expect((await ask({ name: "main-20261121120000" })).status).toBe(409);
  expect((await ask({ named: "x" })).status).toBe(400);
});

test("the log of the agent beside a Server is text", async () => {
  const stateDirectory = await temporaryFolder();
  const store = await (await temporaryResources()).open(new ManualClock());
  const { app } = await testApi({
    routes: logRoutes({ store, stateDirectory, instances: { of: () => [] } }),
  });
  expect((await app.request(`${path}/logs`)).status).toBe(404);
  store.create(serverDraft());
  const { processLog } = attachedFolder(
    serverFolder(stateDirectory, { namespace: "production", name: "main" }),
  );
  await mkdir(dirname(processLog), { recursive: true });
  await writeFile(processLog, "one\ntwo\n");

  expect(await (await app.request(`${path}/logs`)).text()).toBe("one\ntwo\n");
  expect(await (await app.request(`${path}/logs?tailBytes=5`)).text()).toBe("two\n");
});
