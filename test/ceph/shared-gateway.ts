import { inject } from "vitest";
import type { S3Access } from "./s3-service.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Undefined where the gateway's programs are missing; suites that need it are left out there. */
    readonly cephGateway: S3Access | undefined;
  }
}

/** The gateway that runs for all peer tests. To be asked inside a test or hook: a suite that is left out has none. */
export function sharedCephGateway(): S3Access {
  const access = inject("cephGateway");
  if (access === undefined) throw new Error("no Ceph gateway runs: this suite should have been left out");
  return access;
}
