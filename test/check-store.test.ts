import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startScripted, type Script } from "../src/storage/s3/testing/scripted-s3.ts";
import { SmallS3, type SmallS3Quirks } from "../src/storage/s3/testing/small-s3.ts";
import { startTidemark, tidemark } from "./support/programs.ts";
import { s3Environment } from "./support/s3-place.ts";

const secretAccessKey = "geheim-that-nobody-may-see";
const environment = s3Environment({ accessKeyId: "AKTEST", secretAccessKey });

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark-check-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

async function startSmall(quirks: SmallS3Quirks = {}, around?: (inner: Script) => Script) {
  const small = new SmallS3(quirks);
  const port = await startScripted(around?.(small.script) ?? small.script);
  return { small, url: `s3://b/pg?endpoint=http://127.0.0.1:${port}` };
}

describe("tidemark check store", () => {
  test("says in a line for each fact what a directory can do, and leaves it empty", async () => {
    const folder = await temporaryFolder();

    const { code, stdout, stderr } = await tidemark(["check", "store", folder]);

    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.every((line) => /^OK {4}[a-z]+ +\S/.test(line))).toBe(true);
    expect(lines).toHaveLength(9);
    expect(await readdir(folder)).toEqual([]);
  });

  test("says what a store cannot do, what Tidemark does about it, and what to do", async () => {
    const { url, small } = await startSmall({ condition: "refused", keepsVersions: true });

    const { code, stdout } = await tidemark(["check", "store", url], { environment });

    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^WARN {2}condition .*; Tidemark looks before it writes.*\n {19}Never let two servers/m,
    );
    expect(stdout).toMatch(/^WARN {2}delete .*keeps versions/m);
    expect([...small.objects.keys()]).toEqual([]);
  });

  test("ends with the status of what failed, and says it as JSON too, without the secret", async ({
    expect,
  }) => {
    const denied = await startSmall({ before: () => ({ status: 403, code: "SignatureDoesNotMatch" }) });
    const unfit = await startSmall({ ignoresStartAfter: true });

    const refused = await tidemark(["check", "store", denied.url, "-o", "json"], { environment });
    const failed = await tidemark(["check", "store", unfit.url, "-o", "json"], { environment });

    expect([refused.code, failed.code]).toEqual([11, 19]);
    expect(JSON.parse(refused.stdout)).toEqual({
      stores: [
        {
          repository: "repo1",
          url: "s3://b/pg",
          maker: "an S3 server",
          facts: [
            {
              topic: "reach",
              verdict: "fail",
              text: expect.stringContaining("SignatureDoesNotMatch (403)") as string,
              code: "store-denied",
              hint: "The secret key does not belong to this access key: check AWS_SECRET_ACCESS_KEY.",
            },
          ],
        },
      ],
    });
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { code: "store-unfit", exitStatus: 19 } });
    expect([refused, failed].map(({ stdout, stderr }) => stdout + stderr).join("")).not.toContain("geheim");
  });

  test("takes repositories of a configuration by name or all, with their settings", async () => {
    const folder = await temporaryFolder();
    const { url, small } = await startSmall();
    const credentialsFile = join(folder, "keys.json");
    await writeFile(credentialsFile, JSON.stringify({ accessKeyId: "AKFILE", secretAccessKey }), {
      mode: 0o600,
    });
    await mkdir(join(folder, "near"));
    const config = join(folder, "tidemark.yaml");
    const repositories = [
      { name: "offsite", url, credentialsFile, storageClass: { base: "STANDARD_IA" } },
      { name: "near", url: join(folder, "near") },
    ];
    await writeFile(config, JSON.stringify({ server: "main", repositories }));

    const one = await tidemark(["check", "store", "offsite", "-c", config, "-o", "json"]);
    const all = await tidemark(["check", "store", "-c", config]);

    expect([one.code, all.code]).toEqual([0, 0]);
    expect(JSON.parse(one.stdout)).toMatchObject({ stores: [{ repository: "offsite" }] });
    expect(one.stdout).toContain("base backups: the store takes storage class STANDARD_IA");
    expect(small.requests[0]?.headers.authorization).toContain("Credential=AKFILE/");
    expect(all.stdout).toMatch(/^offsite: s3:[^]*^near: \//m);
  });

  test("refuses what the store does not do before anything is sent", async () => {
    const folder = await temporaryFolder();
    const config = join(folder, "tidemark.yaml");
    const repositories = [{ name: "r2", url: "s3://b", profile: "r2", objectTags: { team: "data" } }];
    await writeFile(config, JSON.stringify({ server: "main", repositories }));

    const { code, stderr } = await tidemark(["check", "store", "-c", config]);

    expect(code).toBe(3);
    expect(stderr).toBe(
      'tidemark: repository "r2" cannot work so: objects get tags, and Cloudflare R2 has none: it refuses every write with them\nhint: Leave the tags out for this store.\n',
    );
  });

  test("leaves nothing behind when it is stopped by Ctrl-C", async () => {
    const reached = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const { url, small } = await startSmall({}, (inner) => async (request) => {
      if (!request.url.includes("partNumber=")) return inner(request);
      reached.resolve();
      await goOn.promise;
      return inner(request);
    });
    await using checking = startTidemark(["check", "store", url], { environment });
    await reached.promise;
    expect(small.objects.size + small.uploads.size).toBeGreaterThan(0);

    const { code, stderr } = await checking.end("SIGINT");
    goOn.resolve();

    expect({ code, stderr }).toEqual({ code: 4, stderr: "tidemark: stopped by SIGINT" });
    expect([...small.objects.keys(), ...small.uploads.keys()]).toEqual([]);
  });

  test("without a store says how to name one", async () => {
    const { code, stderr } = await tidemark(["check", "store"]);

    expect(code).toBe(3);
    expect(stderr).toContain("no store is given");
  });
});
