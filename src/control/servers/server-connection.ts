import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { AttachedSpec } from "../../instance/attached/attached-spec.ts";
import { writeIfChanged } from "../../instance/configuration/own-files.ts";
import { readSecret, type Resolution } from "../clusters/store-resolution.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ServerView } from "./server-view.ts";

type Connection = AttachedSpec["connection"];

/**
 * How a server is reached, as its manifest says. Password and certificates go into files of mode 0600 in `directory`, where a
 * process that runs already finds changed ones. Throws `file-io`.
 */
export async function serverConnection(
  { key, spec }: ServerView,
  given: { readonly store: ResourceStore; readonly directory: string },
): Promise<Resolution<Connection>> {
  const { host, port, user, database = "postgres", sslMode = "disable" } = spec.connection ?? {};
  const problems: string[] = [];
  const file = async (
    field: "password" | "sslRootCert",
    name: string,
    path: string,
  ): Promise<string | undefined> => {
    const selector = spec.connection?.[field];
    if (selector === undefined) return undefined;
    const value = readSecret(given.store, key.namespace, selector);
    if (value.kind === "missing") {
      problems.push(`${name} of the connection: ${value.problems.join("; ")}`);
      return undefined;
    }
    await mkdir(given.directory, { recursive: true, mode: 0o700 });
    await writeIfChanged(join(given.directory, path), value.value, undefined);
    return join(given.directory, path);
  };
  const passwordFile = await file("password", "the password", "password");
  const sslRootCertificate = await file("sslRootCert", "the certificates", "server-ca.pem");
  if (problems.length > 0) return { kind: "missing", problems };
  return {
    kind: "ok",
    value: {
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      ...(user === undefined ? {} : { user }),
      database,
      sslMode,
      ...(passwordFile === undefined ? {} : { passwordFile }),
      ...(sslRootCertificate === undefined ? {} : { sslRootCertificate }),
    },
  };
}
