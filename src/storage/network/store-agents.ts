/** The HTTP agents of a store: with its certificates, and through its proxy. */
import { Agent as HttpAgent, type ClientRequest } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { HttpsProxyAgent } from "https-proxy-agent";
import { readClosedFile } from "../../common/closed-file.ts";
import { EngineError } from "../../common/errors.ts";
import { readCertificates } from "../ca-file.ts";
import { bypassesProxy, chooseProxy, describeProxy, type ProxyChoice } from "./proxy-choice.ts";

export interface NetworkOptions {
  /** PEM file with the certificates of the authorities to trust, instead of the built-in ones. */
  readonly caFile?: string;
  /** `http://host:port`, or `direct`. Default: `HTTPS_PROXY` with `NO_PROXY`. */
  readonly proxy?: string;
  /** A file of mode 0600 with the proxy's `user:password`. */
  readonly proxyCredentialsFile?: string;
  /** Connections at once, opened bodies included. Default 64. */
  readonly maxSockets?: number;
  /** How long a proxy may take to open a tunnel, in ms. Default 20 000. */
  readonly tunnelTimeoutMs?: number;
}

export interface StoreAgents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  /** Where they go through, without credentials. */
  readonly proxy: string | undefined;
}

type ProxyAgentClass = typeof HttpsProxyAgent;
type ConnectOptions = Parameters<HttpsProxyAgent<string>["connect"]>[1];

interface AgentSettings {
  readonly keepAlive: boolean;
  readonly maxSockets: number;
  readonly ca?: Buffer;
}

/**
 * Makes the agents; nothing is connected yet. Whoever gives them away sees to it that they are destroyed.
 *
 * @throws EngineError `config` when the CA file or the file with the proxy's credentials cannot be read, `usage` for a
 * proxy that is none.
 */
export async function openStoreAgents(options: NetworkOptions): Promise<StoreAgents> {
  const settings: AgentSettings = {
    keepAlive: true,
    maxSockets: options.maxSockets ?? 64,
    ...(options.caFile === undefined ? {} : { ca: await readCertificates(options.caFile) }),
  };
  const choice = chooseProxy(options.proxy, process.env);
  if (choice === undefined) {
    return { http: new HttpAgent(settings), https: new HttpsAgent(settings), proxy: undefined };
  }
  const credentials = await readProxyCredentials(options.proxyCredentialsFile);
  const { HttpsProxyAgent: base } = await import("https-proxy-agent");
  const proxy = { ...choice, url: withCredentials(choice.url, credentials) };
  const agent = proxyAgent(base, proxy, settings, options.tunnelTimeoutMs ?? 20_000);
  return {
    // The environment has another variable for plain HTTP, which is not for tunnels.
    http: choice.isOwn ? agent : new HttpAgent(settings),
    https: agent,
    proxy: describeProxy(choice),
  };
}

function proxyAgent(
  base: ProxyAgentClass,
  choice: ProxyChoice,
  settings: AgentSettings,
  tunnelTimeoutMs: number,
): HttpsProxyAgent<string> & HttpAgent {
  /** A tunnel for each connection, but for hosts that are reached directly. */
  class SelectiveAgent extends base<string> {
    readonly #opening = new Set<AbortController>();

    override async connect(request: ClientRequest, options: ConnectOptions): Promise<Socket> {
      const host = options.host ?? "localhost";
      // The base class takes them for the way to the proxy alone.
      const trusting = { ...options, ...(settings.ca === undefined ? {} : { ca: settings.ca }) };
      if (!bypassesProxy(choice, host, options.port)) return this.#openTunnel(request, trusting);
      if (!options.secureEndpoint) return connectPlain(options);
      return connectTls({ ...trusting, ...(isIP(host) === 0 ? { servername: host } : {}) });
    }

    /** Until there is a tunnel the request has no socket: neither its signal nor its time-outs would end a proxy's silence. */
    async #openTunnel(request: ClientRequest, options: ConnectOptions): Promise<Socket> {
      const opening = new AbortController();
      this.#opening.add(opening);
      const timer = setTimeout(() => opening.abort(), tunnelTimeoutMs);
      try {
        return await new base(choice.url, { ...settings, signal: opening.signal }).connect(request, options);
      } catch (error) {
        throw opening.signal.aborted ? noTunnel(tunnelTimeoutMs) : error;
      } finally {
        clearTimeout(timer);
        this.#opening.delete(opening);
      }
    }

    /** Those that are not there yet are ended as well: they would keep the process. */
    override destroy(): void {
      for (const opening of this.#opening) opening.abort();
      super.destroy();
    }
  }
  return new SelectiveAgent(choice.url, settings);
}

function noTunnel(ms: number): Error {
  return Object.assign(new Error(`the proxy opened no tunnel within ${ms / 1000} s`), { code: "ETIMEDOUT" });
}

function withCredentials(url: URL, credentials: string | undefined): URL {
  if (credentials === undefined) return url;
  const [user = "", ...password] = credentials.split(":");
  const full = new URL(url);
  full.username = encodeURIComponent(user);
  full.password = encodeURIComponent(password.join(":"));
  return full;
}

async function readProxyCredentials(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const { text } = await readClosedFile(path, "proxy credentials file");
  const credentials = text.trim();
  if (/^[^:\s][^:]*:./.test(credentials)) return credentials;
  throw new EngineError("config", `the proxy credentials file "${path}" does not hold credentials`, {
    hint: "Write one line into it: user:password.",
  });
}
