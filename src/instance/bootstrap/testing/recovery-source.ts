import { testServer, type TestServer } from "../../../postgres/testing/test-server.ts";
import {
  archiveThrough,
  sampleBackup,
  sampleRepository,
  type SampleRepository,
} from "../../../restore/testing/sample-repository.ts";
import type { InstanceBootstrap } from "../../instance-spec.ts";

export type RecoveryBootstrap = Extract<InstanceBootstrap, { kind: "recovery" }>;

/** A server whose rows 1 to 3 of table `t` are in a base backup, and rows 4 to 6 in archived WAL. It is stopped. */
export interface RecoverySource extends AsyncDisposable {
  readonly server: TestServer;
  readonly sample: SampleRepository;
  readonly backupId: string;
  /** The restore point behind row 4. */
  readonly restorePoint: string;
  /** To the end of the archive, unless told otherwise. */
  bootstrap(more?: Partial<RecoveryBootstrap>): RecoveryBootstrap;
}

export async function recoverySource(
  before: (server: TestServer) => Promise<void> = async () => undefined,
): Promise<RecoverySource> {
  const server = await testServer({ major: 17, walSegmentSizeMib: 1, settings: { max_connections: "33" } });
  const sample = await sampleRepository(server.folder);
  await server.restart({ settings: sample.archiveSettings });
  await server.sql("CREATE TABLE t AS SELECT generate_series(1, 3) AS n");
  await before(server);
  const backupId = await sampleBackup(server, sample);
  await server.sql("INSERT INTO t VALUES (4)");
  await server.sql("SELECT pg_create_restore_point('behind 4')");
  await server.sql("INSERT INTO t VALUES (5), (6)");
  await archiveThrough(server, sample);
  await server.server.stop("fast");
  return {
    server,
    sample,
    backupId,
    restorePoint: "behind 4",
    bootstrap: (more) => ({
      kind: "recovery",
      server: sample.repository.server,
      repositories: [{ url: sample.directory }],
      backup: "auto",
      timeline: "latest",
      target: { kind: "latest" },
      tablespaces: {},
      ...more,
    }),
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
}
