import { readFileSync } from "node:fs";

/** The version of this package, as in its package.json; read once, from two folders up in `src` and in `dist` alike. */
export const tidemarkVersion: string = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly version: string;
  }
).version;
