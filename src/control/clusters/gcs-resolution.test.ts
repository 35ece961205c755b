import { expect, test } from "vitest";
import { resolveGcs } from "./gcs-resolution.ts";
import type { StoreConfiguration } from "./store-resolution.ts";

const selector = { name: "google", key: "key.json" };
const key = JSON.stringify({ type: "service_account", client_email: "a@b", private_key: "geheim" });

function resolved(
  configuration: Partial<StoreConfiguration>,
  value: string | undefined = key,
): ReturnType<typeof resolveGcs> {
  return resolveGcs("store", { destinationPath: "gs://bucket/pg", ...configuration }, (asked) =>
    asked === undefined ? undefined : value,
  );
}

test("the key of a Secret is what the credentials file will hold, as Google gave it", () => {
  expect(resolved({ googleCredentials: { applicationCredentials: selector } })).toEqual({
    credentials: key,
    problems: [],
  });
});

test("with gkeEnvironment, and with nothing said, the machine's own account is taken", () => {
  const own = { credentials: undefined, problems: [] };

  expect(resolved({ googleCredentials: { gkeEnvironment: true } })).toEqual(own);
  expect(resolved({})).toEqual(own);
  expect(resolved({ destinationPath: "s3://bucket" })).toEqual(own);
});

test.each<[Partial<StoreConfiguration>, string]>([
  [
    { googleCredentials: {} },
    'store "store": if gkeEnvironment is false, secret with credentials must be provided',
  ],
  [
    { googleCredentials: { gkeEnvironment: true, applicationCredentials: selector } },
    'store "store": if gkeEnvironment is true, secret with credentials must not be provided',
  ],
  [
    { destinationPath: "s3://bucket", googleCredentials: { gkeEnvironment: true } },
    'store "store" has googleCredentials, but "s3://bucket" is no gs:// address',
  ],
  [
    { s3Credentials: { inheritFromIAMRole: true } },
    'store "store" is a bucket of Google\'s, and its credentials are googleCredentials',
  ],
])("what contradicts itself is named: %o", (configuration, problem) => {
  expect(resolved(configuration)).toEqual({ credentials: undefined, problems: [problem] });
});

test("a Secret that holds something else is named without its content", () => {
  const { credentials, problems } = resolved(
    { googleCredentials: { applicationCredentials: selector } },
    '{"private_key": "geheim"',
  );

  expect(credentials).toBeUndefined();
  expect(problems).toEqual([
    'the Google credentials of store "store": Secret "google" has under "key.json" no JSON file that Google gives (a service account\'s key, or the configuration of a workload identity federation)',
  ]);
});
