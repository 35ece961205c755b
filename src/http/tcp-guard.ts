import { createHash, timingSafeEqual } from "node:crypto";
import { EngineError } from "../common/errors.ts";
import { refusal } from "./error-status.ts";

/** A port of this machine, for programs that cannot speak over a Unix socket: a browser. */
export interface TcpOptions {
  /** `127.0.0.1`, `::1` or `localhost`: nothing else is opened. */
  readonly host: string;
  /** 0 takes one that is free. */
  readonly port: number;
  /** What every request has to bring; at least 32 characters. Never logged. */
  readonly token: string;
}

const loopbackHosts: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

const shortestToken = 32;

/** Throws `config` for an address that other machines could reach, and for a token that could be guessed. */
export function requireSafe({ host, token }: TcpOptions): void {
  if (!loopbackHosts.has(host)) {
    throw new EngineError("config", `"${host}" is not an address of this machine alone`, {
      hint: "Listen on 127.0.0.1, and put a proxy with TLS before it for others.",
    });
  }
  if (token.length >= shortestToken) return;
  throw new EngineError("config", `the token has ${token.length} characters, fewer than ${shortestToken}`, {
    hint: "Make one with: openssl rand -hex 32.",
  });
}

/**
 * Lets a request through (undefined), or answers it. Any page in a browser can make it send requests to a local port: by a
 * name that the page's owner points to this machine (DNS rebinding, seen by Host), or from another origin (seen by Origin).
 * The token alone would hold those off too; this way they never get to try one.
 */
export function tcpGuard({ token, port }: { readonly token: string; readonly port: number }) {
  const hosts = new Set(["127.0.0.1", "[::1]", "localhost"].map((host) => `${host}:${port}`));
  const origins = new Set([...hosts].flatMap((host) => [`http://${host}`]));
  const expected = digest(token);
  return (request: Request): Response | undefined => {
    const host = request.headers.get("host") ?? "";
    if (!hosts.has(host.toLowerCase())) {
      return refusal(
        421,
        "MisdirectedRequest",
        "this is not the host that was asked for",
        "Use the address 127.0.0.1.",
      );
    }
    const origin = request.headers.get("origin");
    if (origin !== null && !origins.has(origin.toLowerCase())) {
      return refusal(403, "Forbidden", "requests of other origins are not answered");
    }
    if (new URL(request.url).pathname === "/healthz") return undefined;
    const given = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    // Digests have one length, so that the comparison tells nothing of the token's.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return undefined;
    return refusal(
      401,
      "Unauthorized",
      "the request has no valid token",
      "Send it as: Authorization: Bearer <token>.",
    );
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
