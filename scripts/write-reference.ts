import { writeFile } from "node:fs/promises";
import { referencePages } from "./reference.ts";

/** `npm run reference`: writes the generated pages of docs/reference. */
for (const [path, text] of await referencePages()) {
  await writeFile(new URL(`../${path}`, import.meta.url), text);
  console.log(path);
}
