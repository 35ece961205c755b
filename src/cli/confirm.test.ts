import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { confirm } from "./confirm.ts";

const never = new AbortController().signal;

function typing(keys: string) {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  setImmediate(() => input.write(keys));
  return { input, output: new PassThrough() };
}

test("a yes goes on, and so does --yes where there is nobody to ask", async () => {
  const nobody = { input: new PassThrough(), output: new PassThrough() };

  await expect(confirm("Delete?", {}, never, typing("y\r"))).resolves.toBeUndefined();
  await expect(confirm("Delete?", { yes: true }, never, nobody)).resolves.toBeUndefined();
});

test.each([
  ["a no", "n\r"],
  ["an empty line", "\r"],
  ["Ctrl-C", "\u0003"],
  ["the end of the input", "\u0004"],
])("%s changes nothing, and is no internal error", async (_, keys) => {
  await expect(confirm("Delete?", {}, never, typing(keys))).rejects.toMatchObject({
    code: "aborted",
    message: "nothing was changed",
  });
});

test("without a terminal it is refused", async () => {
  const pipe = { input: new PassThrough(), output: new PassThrough() };
  await expect(confirm("Delete?", {}, never, pipe)).rejects.toMatchObject({ code: "usage" });
});
