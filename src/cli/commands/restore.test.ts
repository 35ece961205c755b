import { expect, test } from "vitest";
import { run, type RestoreOptions } from "./restore.ts";

const usual = { action: "promote", archiving: "off", output: "text", wait: true } as const;
const restore = async (options: Partial<RestoreOptions>) =>
  run("pg", { ...usual, ...options }, new AbortController().signal);

test.each<[Partial<RestoreOptions>, string]>([
  [{}, 'it is not said what "pg" is to be restored from'],
  [{ to: "latest" }, "--as is missing"],
  [{ as: "copy" }, "--to is missing"],
  [
    { to: "latest", as: "copy", repo: ["/srv"] },
    "--repo has no meaning here: with --to and --as the control plane restores a cluster",
  ],
  [
    { to: "latest", as: "copy", toXid: "7" },
    "--to-xid has no meaning here: with --to and --as the control plane restores a cluster",
  ],
  [
    { to: "latest", as: "copy", action: "pause" },
    "--action has no meaning here: with --to and --as the control plane restores a cluster",
  ],
  [
    { to: "latest", as: "copy", output: "json" },
    "--output has no meaning here: with --to and --as the control plane restores a cluster",
  ],
  [
    { repo: ["/srv"], namespace: "x" },
    "--namespace has no meaning here: a directory is restored without a control plane",
  ],
  [
    { repo: ["/srv"], wait: false },
    "--no-wait has no meaning here: a directory is restored without a control plane",
  ],
])("restore with %o is refused", async (options, message) => {
  await expect(restore(options)).rejects.toMatchObject({ code: "usage", message });
});
