/** Which requests go through a proxy: the setting of a store, else what `HTTPS_PROXY` and `NO_PROXY` say, as with curl. */
import { BlockList, isIP } from "node:net";
import { badUrl, secretInUrl, withoutQuery, withoutSecrets } from "../url-parts.ts";

/** A proxy, and for whom it is not used. */
export interface ProxyChoice {
  /** May carry a user and a password: for the agent alone. */
  readonly url: URL;
  /** Of a store's own proxy: it is for plain HTTP as well, and nothing is left out. */
  readonly isOwn: boolean;
  readonly noProxy: string;
}

/**
 * The setting wins; `direct` means none. Without it, the environment's. Throws `usage` for a setting that is no proxy or
 * carries credentials, which belong in the environment or in a file.
 */
export function chooseProxy(
  setting: string | undefined,
  environment: NodeJS.ProcessEnv,
): ProxyChoice | undefined {
  if (setting === "direct") return undefined;
  if (setting !== undefined) return { url: parseProxy(setting), isOwn: true, noProxy: "" };
  const given = environment["https_proxy"] ?? environment["HTTPS_PROXY"] ?? "";
  // As people write it: a host and its port alone are plain HTTP.
  const url =
    given === "" ? null : URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`);
  if (url === null || !isProxyScheme(url)) return undefined;
  return { url, isOwn: false, noProxy: environment["no_proxy"] ?? environment["NO_PROXY"] ?? "" };
}

/** A proxy as settings and URLs name it. Throws `usage`. */
export function parseProxy(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !isProxyScheme(url)) {
    throw badUrl(withoutSecrets(text), "is no proxy", 'Write http://host:port, or "direct" for none.');
  }
  if (url.username === "" && url.password === "") return url;
  throw secretInUrl(url, "name a file with proxyCredentialsFile, or set HTTPS_PROXY, instead.");
}

/** Without credentials. */
export function describeProxy({ url }: ProxyChoice): string {
  return withoutQuery(url).replace(/\/$/, "");
}

/** Whether a host is reached without this proxy. `host` as in URLs, IPv6 without brackets. */
export function bypassesProxy(choice: ProxyChoice, host: string, port: number): boolean {
  return choice.noProxy
    .split(/[\s,]+/)
    .some((entry) => entry !== "" && covers(entry.toLowerCase(), host, port));
}

/** `*`, a name with all below it (`.example.org` or `example.org`), an address, a range of them; each with a port perhaps. */
function covers(entry: string, host: string, port: number): boolean {
  if (entry === "*") return true;
  const [, name = entry, only] = /^(.+?):(\d+)$/.exec(entry) ?? [];
  // An IPv6 address has colons of its own.
  const isAddress = isIP(entry) !== 0;
  if (!isAddress && only !== undefined && Number(only) !== port) return false;
  const wanted = isAddress ? entry : name;
  if (isIP(host) !== 0 && wanted.includes("/")) return isInRange(wanted, host);
  const suffix = wanted.replace(/^\*?\./, "");
  return host.toLowerCase() === suffix || host.toLowerCase().endsWith(`.${suffix}`);
}

function isInRange(range: string, address: string): boolean {
  const [network = "", bits = ""] = range.split("/");
  const family = (text: string) => (isIP(text) === 6 ? "ipv6" : "ipv4");
  if (isIP(network) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (isIP(network) === 6 ? 128 : 32))
    return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family(network));
  return list.check(address, family(address));
}

function isProxyScheme({ protocol }: URL): boolean {
  return protocol === "http:" || protocol === "https:";
}
