import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { testFolder } from "../src/postgres/testing/test-server.ts";
import type { S3Access } from "./ceph/s3-service.ts";
import { sharedCephGateway } from "./ceph/shared-gateway.ts";
import { cephPrograms, leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { openPlace, s3Environment, s3Place, type S3Place } from "./support/s3-place.ts";
import { tidemark } from "./support/programs.ts";

const skipped = await reasonToSkip(cephPrograms);
const segment = "000000010000000000000001";

describe.skipIf(skipped !== undefined)(`the command line on S3 that does not work${leftOut(skipped)}`, () => {
  let gateway: S3Access;
  let place: S3Place;
  let nowhere: string;
  beforeAll(async () => {
    gateway = sharedCephGateway();
    place = await s3Place(sharedCephGateway());
    nowhere = `http://127.0.0.1:${await closedPort()}`;
  });

  const list = async (options: readonly string[], environment: Readonly<Record<string, string>>) =>
    tidemark(["base", "list", ...options], { environment });

  /** What `restore_command` does, and whether anything arrived. */
  async function fetch(options: readonly string[], environment: Readonly<Record<string, string>>) {
    await using folder = await testFolder();
    const path = join(await folder.make("wal"), segment);
    const { code, stderr } = await tidemark(["wal", "fetch", segment, path, ...options], { environment });
    const delivered = await stat(path).then(
      () => true,
      () => false,
    );
    return { code, stderr, delivered };
  }

  it("a wrong secret key is refused with its own exit status, and the secret is not repeated", async () => {
    const secretAccessKey = "wrong-secret-that-nobody-may-see";
    const environment = s3Environment({ accessKeyId: gateway.accessKeyId, secretAccessKey });
    const listed = await list(place.tidemark("main"), environment);
    const asJson = await list([...place.tidemark("main"), "-o", "json"], environment);
    const debugged = await list([...place.tidemark("main"), "--log-level", "debug"], environment);
    const fetched = await fetch(place.tidemark("main"), environment);

    expect(listed.code).toBe(11);
    expect(listed.stderr).toMatch(/^hint: The secret key does not belong to this access key/m);
    expect(JSON.parse(asJson.stderr)).toMatchObject({ error: { code: "store-denied", exitStatus: 11 } });
    expect(fetched).toMatchObject({ code: 150, delivered: false });
    const said = [listed, asJson, debugged].flatMap(({ stdout, stderr }) => [stdout, stderr]);
    expect([...said, fetched.stderr].join("\n")).not.toContain(secretAccessKey);
  });

  it("an access key that the store does not know says so", async () => {
    const listed = await list(
      place.tidemark("main"),
      s3Environment({ accessKeyId: "AKNOBODY", secretAccessKey: gateway.secretAccessKey }),
    );

    expect(listed).toMatchObject({ code: 11, stderr: expect.stringContaining("AWS_ACCESS_KEY_ID") });
    expect(listed.stderr).not.toContain(gateway.secretAccessKey);
  });

  it("a bucket that does not exist is missing, not empty", async () => {
    const options = [
      "--repo",
      "s3://no-such-bucket/path",
      "--server",
      "main",
      "--endpoint-url",
      place.endpoint,
    ];
    const listed = await list(options, place.environment);
    const fetched = await fetch(options, place.environment);

    expect(listed).toMatchObject({ code: 12, stderr: expect.stringContaining("the bucket does not exist") });
    expect(fetched).toMatchObject({ code: 150, delivered: false });
  });

  it("wal fetch tells PostgreSQL absent from could-not-tell", async () => {
    const away = ["--repo", place.url, "--server", "main", "--endpoint-url", nowhere];
    const store = await openPlace(place);
    await store.put("begun/wals/00000001.history", []);
    await store.close();
    const absent = await fetch(place.tidemark("begun"), place.environment);
    const misspelt = await fetch(place.tidemark("begum"), place.environment);
    const down = await fetch(away, place.environment);
    const listed = await list(away, place.environment);

    expect(absent).toMatchObject({ code: 1, delivered: false });
    expect(misspelt).toMatchObject({ code: 150, delivered: false });
    expect(misspelt.stderr).toContain('there is nothing of server "begum"');
    expect(down).toMatchObject({ code: 150, delivered: false });
    expect(down.stderr).toContain(nowhere.replace("http://", ""));
    expect(listed.code).toBe(10);
  });

  it("no bucket, path or server is the operator's mistake, told before anything is asked", async () => {
    expect(await list(["--repo", "s3://", "--server", "main"], {})).toMatchObject({ code: 2 });
    expect(await list(["--repo", place.url], {})).toMatchObject({ code: 3 });
  });
});

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await promisify(server.close.bind(server))();
  return port;
}
