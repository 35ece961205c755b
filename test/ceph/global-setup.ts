import type { TestProject } from "vitest/node";
import { cephPrograms, reasonToSkip } from "../support/peer-programs.ts";
import { startCephGateway } from "./ceph-gateway.ts";

/** One gateway for all peer tests: starting it takes longer than most of them. Returns what stops it. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if ((await reasonToSkip(cephPrograms)) !== undefined) return undefined;
  const gateway = await startCephGateway();
  const { endpoint, tlsEndpoint, caFile, accessKeyId, secretAccessKey } = gateway;
  project.provide("cephGateway", { endpoint, tlsEndpoint, caFile, accessKeyId, secretAccessKey });
  return gateway.stop;
}
