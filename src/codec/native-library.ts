import { createRequire } from "node:module";
import { EngineError } from "../common/errors.ts";

const require = createRequire(import.meta.url);

/**
 * A native package that is loaded when it is first needed: most runs never need it, and one whose binary does not fit
 * this machine must not break the others. The result throws `config` when it cannot be loaded.
 */
export function nativeLibrary<T>(name: string): () => T {
  let loaded: T | undefined;
  return () => {
    try {
      return (loaded ??= require(name) as T);
    } catch (cause) {
      throw new EngineError("config", `could not load the package "${name}"`, {
        cause,
        hint: "Does it have a binary for this machine, and is this Node 24.12 or newer? Then npm install Tidemark again; otherwise choose zstd or gzip.",
      });
    }
  };
}
