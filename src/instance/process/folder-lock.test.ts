import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { instanceFolder } from "../instance-folder.ts";
import { lockFolder } from "./folder-lock.ts";
import { writeProcessState } from "./process-file.ts";

const holder = new URL("testing/lock-holder.ts", import.meta.url).pathname;

test("a folder is one process's alone until that is killed", async () => {
  const folder = instanceFolder(await temporaryFolder());
  const child = spawn(process.execPath, [holder, folder.root], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  await writeProcessState(folder, { pid: child.pid ?? 0, socket: "/x", startedAt: "now" });

  await expect(lockFolder(folder)).rejects.toMatchObject({
    code: "locked",
    message: `another process (${child.pid}) serves the instance in "${folder.root}"`,
  });
  child.kill("SIGKILL");
  await once(child, "exit");

  using _lock = await lockFolder(folder);
});

test("a folder that was let go can be taken again", async () => {
  const folder = instanceFolder(await temporaryFolder());

  for (let time = 0; time < 3; time++) {
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: "locked" });
    lock[Symbol.dispose]();
  }
});

test("a folder that is not there cannot be taken", async () => {
  const folder = instanceFolder(`${await temporaryFolder()}/absent`);

  await expect(lockFolder(folder)).rejects.toMatchObject({ code: "file-io" });
});
