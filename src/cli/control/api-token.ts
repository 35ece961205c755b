import { randomBytes } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeDurableFile } from "../../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../../common/errors.ts";

export interface ApiToken {
  readonly path: string;
  readonly token: string;
}

/**
 * What requests over TCP must bring: kept in `<state>/token`, made when there is none. Throws `config` for one that others may
 * read, or that is none.
 */
export async function readApiToken(stateDirectory: string): Promise<ApiToken> {
  const path = join(stateDirectory, "token");
  try {
    const token = (await readFile(path, "utf8")).trim();
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new EngineError("config", `others may read "${path}"`, {
        hint: "Run chmod 600 on it, or remove it for a new one.",
      });
    }
    if (token.length < 32) {
      throw new EngineError("config", `"${path}" holds no token of 32 characters or more`, {
        hint: "Remove it: a new one is made.",
      });
    }
    return { path, token };
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw fileError("read", path, error);
  }
  const token = randomBytes(32).toString("base64url");
  await writeDurableFile(path, `${token}\n`, 0o600);
  return { path, token };
}

/** `8090`, `127.0.0.1:8090` or `[::1]:8090`. Throws `usage`. */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits ?? Number.NaN);
  if (port >= 0 && port <= 65_535) return { host: bracketed ?? plain ?? "127.0.0.1", port };
  throw new EngineError("usage", `--listen is "${text}"`, {
    hint: "Write a port, or an address of this machine with it: 127.0.0.1:8090.",
  });
}
