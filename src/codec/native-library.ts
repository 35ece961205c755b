import { createRequire } from "node:module";
import { EngineError } from "../common/errors.ts";

const require = createRequire(import.meta.url);

/**
 * A native package that is loaded when it is first needed: most runs never need it, and one whose binary does not fit
 * this machine must not break the others. The result throws `config` when it cannot be loaded; its caller
 * knows the type.
 */
export function nativeLibrary(name: string): () => unknown {
  let loaded: unknown;
  return () => {
    try {
      return (loaded ??= require(name));
    } catch (cause) {
      throw new EngineError("config", `could not load the package "${name}"`, {
        cause,
        hint: "Does it have a binary for this machine, and is this Node 24.12 or newer? Then npm install Tidemark again; otherwise choose zstd or gzip.",
      });
    }
  };
}
