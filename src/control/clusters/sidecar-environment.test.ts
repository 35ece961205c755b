import { expect, test } from "vitest";
import { sidecarSettings } from "./sidecar-environment.ts";

const bare = { endpoint: undefined, hasKeys: false };
const role = { AWS_ROLE_ARN: "arn:aws:iam::1:role/x", AWS_WEB_IDENTITY_TOKEN_FILE: "/run/token" };

test.each([
  ["nothing", {}, bare, {}],
  ["a region", { AWS_DEFAULT_REGION: "eu-central-1" }, bare, { region: "eu-central-1" }],
  ["an endpoint", { AWS_ENDPOINT_URL: "https://s3.example" }, bare, { endpoint: "https://s3.example" }],
  [
    "an endpoint beside the manifest's own",
    { AWS_ENDPOINT_URL: "https://s3.example" },
    { endpoint: "https://own.example", hasKeys: false },
    { endpoint: "https://own.example" },
  ],
  [
    "a role for a token",
    { ...role, AWS_ROLE_SESSION_NAME: "pg" },
    bare,
    { webIdentity: { roleArn: role.AWS_ROLE_ARN, tokenFile: "/run/token", sessionName: "pg" } },
  ],
  ["a role beside keys, which win", role, { endpoint: undefined, hasKeys: true }, {}],
  ["half a role", { AWS_ROLE_ARN: "x" }, bare, {}],
  ["a profile", { AWS_PROFILE: "offsite" }, bare, { awsProfile: "offsite" }],
  ["a proxy", { HTTPS_PROXY: "http://proxy:3128" }, bare, { proxy: "http://proxy:3128" }],
  [
    "a proxy that is not for this store",
    { HTTPS_PROXY: "http://proxy:3128", NO_PROXY: ".example" },
    { endpoint: "https://s3.example:9000", hasKeys: true },
    { endpoint: "https://s3.example:9000" },
  ],
  [
    "a proxy for a store without TLS",
    { HTTPS_PROXY: "http://proxy:3128" },
    { endpoint: "http://minio:9000", hasKeys: true },
    { endpoint: "http://minio:9000" },
  ],
  [
    "a proxy with credentials, which settings must not hold",
    { HTTPS_PROXY: "http://a:geheim@proxy:1" },
    bare,
    {},
  ],
  ["what is about other tools", { AWS_REQUEST_CHECKSUM_CALCULATION: "when_required" }, bare, {}],
])("the environment of a sidecar with %s", (_what, environment, given, expected) => {
  expect(sidecarSettings(environment, { url: "s3://bucket", ...given })).toEqual(expected);
});

test("what AWS' variables say is not about a store of somebody else's", () => {
  const environment = { ...role, AWS_ENDPOINT_URL: "https://s3.example", HTTPS_PROXY: "http://proxy:3128" };

  expect(sidecarSettings(environment, { url: "gs://bucket", ...bare })).toEqual({
    proxy: "http://proxy:3128",
  });
});
