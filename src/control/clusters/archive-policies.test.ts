import { expect, test } from "vitest";
import { clusterDraft, objectStoreDraft, resourceOf } from "../backups/testing/sample-objects.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { archiveOfServer } from "../servers/server-archive.ts";
import { serverView } from "../servers/testing/sample-server.ts";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { archiveOf } from "./cluster-archive.ts";
import { viewCluster } from "./cluster-view.ts";

async function stores() {
  const store = await (await temporaryResources()).open(new ManualClock("2026-11-21T12:00:00.000Z"));
  for (const name of ["near", "far"]) store.create({ ...objectStoreDraft(`/srv/${name}`), name });
  return store;
}

test.each([
  [undefined, "all"],
  ["all", "all"],
  ["any", 1],
  ["2", 2],
  ["far", ["far"]],
  ["far, near", ["far", "near"]],
])("the policy %j of a Cluster and of a Server is %j", async (archivePolicy, policy) => {
  const store = await stores();
  const parameters = {
    barmanObjectName: "near",
    additionalObjectNames: "far",
    ...(archivePolicy === undefined ? {} : { archivePolicy }),
  };
  const plugins = [{ name: "barman-cloud.cloudnative-pg.io", parameters }];
  const server = {
    stores: [{ name: "near" }, { name: "far" }],
    ...(archivePolicy === undefined ? {} : { archivePolicy }),
  };

  expect(archiveOf(viewCluster(resourceOf(clusterDraft({ plugins }))), store)).toMatchObject({
    value: { policy },
  });
  expect(archiveOfServer(serverView(server), store)).toMatchObject({ value: { policy } });
});

test("a policy that names a store which is not the Cluster's own is said with those that are", async () => {
  const parameters = {
    barmanObjectName: "near",
    additionalObjectNames: "far",
    archivePolicy: "near,offsite",
  };
  const plugins = [{ name: "barman-cloud.cloudnative-pg.io", parameters }];

  expect(archiveOf(viewCluster(resourceOf(clusterDraft({ plugins }))), await stores())).toEqual({
    kind: "missing",
    problems: [
      'archivePolicy "near,offsite" is not "all", "any", a number up to 2, or some of the stores near, far',
    ],
  });
});
