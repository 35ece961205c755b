import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { chooseServerUser } from "../postgres/unprivileged-user.ts";

it("goes with the home directory of the user that root becomes, where its ~/.aws and ~/.pgpass are", async () => {
  const user = await chooseServerUser();
  const script = `
    const { becomeForThisProcess } = await import(${JSON.stringify(new URL("privileges.ts", import.meta.url).href)});
    const user = ${JSON.stringify(user ?? null)};
    if (user !== null) becomeForThisProcess(user);
    const { userInfo } = await import("node:os");
    console.log(JSON.stringify([process.env.HOME, process.env.USER, userInfo().homedir]));`;

  const [home, name, known] = JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      env: { ...process.env, HOME: "/home/before", USER: "before" },
      encoding: "utf8",
    }),
  ) as string[];

  // Who is not root stays who they are.
  expect([home, name]).toEqual(user === undefined ? ["/home/before", "before"] : [known, user.name]);
});
