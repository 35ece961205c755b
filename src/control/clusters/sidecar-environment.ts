import type { RepositorySettings } from "../../repository/repository-settings.ts";
import { bypassesProxy, chooseProxy, describeProxy } from "../../storage/network/proxy-choice.ts";

/**
 * On Kubernetes the tools that reach the store run in a container whose environment a manifest may set
 * (`instanceSidecarConfiguration.env`). What it says there of the way to the store, and of a role, holds here for this
 * store alone. Values from Secrets, and variables that are about those tools themselves, are left out.
 */
type Environment = Readonly<Record<string, string>>;

/**
 * Settings that hold where the manifest's own configuration says nothing. `hasKeys`: a role would not be used. What AWS'
 * variables say holds for `s3://` alone.
 */
export function sidecarSettings(
  all: Environment,
  given: { readonly url: string; readonly endpoint: string | undefined; readonly hasKeys: boolean },
): Partial<RepositorySettings> {
  const isS3 = given.url.startsWith("s3://");
  const environment = Object.fromEntries(
    Object.entries(all).filter(([name]) => isS3 || !name.startsWith("AWS_")),
  );
  const region = environment["AWS_DEFAULT_REGION"] ?? environment["AWS_REGION"];
  const endpoint = given.endpoint ?? environment["AWS_ENDPOINT_URL_S3"] ?? environment["AWS_ENDPOINT_URL"];
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(given.hasKeys ? {} : roleSettings(environment)),
    ...proxySettings(environment, endpoint),
  };
}

function roleSettings(environment: Environment): Partial<RepositorySettings> {
  const { AWS_ROLE_ARN: roleArn, AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile } = environment;
  if (roleArn !== undefined && tokenFile !== undefined) {
    const { AWS_ROLE_SESSION_NAME: sessionName, AWS_ENDPOINT_URL_STS: endpoint } = environment;
    return {
      webIdentity: {
        roleArn,
        tokenFile,
        ...(sessionName === undefined ? {} : { sessionName }),
        ...(endpoint === undefined ? {} : { endpoint }),
      },
    };
  }
  const { AWS_PROFILE: awsProfile } = environment;
  return awsProfile === undefined ? {} : { awsProfile };
}

/** A proxy with credentials in its URL is left out: settings are no place for them. It belongs into our own environment. */
function proxySettings(environment: Environment, endpoint: string | undefined): Partial<RepositorySettings> {
  const choice = chooseProxy(undefined, { ...environment });
  if (choice === undefined || choice.url.username !== "" || choice.url.password !== "") return {};
  const target = URL.parse(endpoint ?? "https://s3.amazonaws.com");
  if (target === null || target.protocol !== "https:") return {};
  const host = target.hostname.replace(/^\[|\]$/g, "");
  if (bypassesProxy(choice, host, Number(target.port || 443))) return {};
  return { proxy: describeProxy(choice) };
}
