import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  azureCredentialsFormat,
  environmentCredentials,
  parseConnectionString,
  type AzureCredentials,
} from "./azure-credentials.ts";

/** With the secret shown. */
function revealed(credentials: AzureCredentials | undefined) {
  if (credentials === undefined) return undefined;
  const { kind, account, endpoint } = credentials;
  const secret = kind === "key" ? credentials.key.reveal() : credentials.token.reveal();
  return [kind, account, secret, endpoint];
}

describe("a connection string", () => {
  test.each([
    [
      "DefaultEndpointsProtocol=https;AccountName=acct1;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
      ["key", "acct1", "a2V5==", "https://acct1.blob.core.windows.net"],
    ],
    ["AccountName=acct1;AccountKey=a2V5", ["key", "acct1", "a2V5", undefined]],
    [
      " accountname=acct1 ; ACCOUNTKEY=a2V5; BlobEndpoint=http://127.0.0.1:10000/acct1/;",
      ["key", "acct1", "a2V5", "http://127.0.0.1:10000/acct1"],
    ],
    [
      "BlobEndpoint=https://acct1.blob.core.windows.net/;SharedAccessSignature=sv=2024-11-04&sig=a%2Bb%3D",
      ["sas", "acct1", "sv=2024-11-04&sig=a%2Bb%3D", "https://acct1.blob.core.windows.net"],
    ],
    [
      "BlobEndpoint=http://azurite:10000/acct1;SharedAccessSignature=?sig=x",
      ["sas", "acct1", "sig=x", "http://azurite:10000/acct1"],
    ],
  ])("%s is understood", (text, wanted) => {
    expect(revealed(parseConnectionString(text))).toEqual(wanted);
  });

  test.each([
    "",
    "AccountName=acct1",
    "AccountKey=a2V5",
    "AccountName=acct1;AccountKey=",
    "UseDevelopmentStorage=true",
    "https://acct1.blob.core.windows.net/?sig=x",
    "AccountName=acct1;AccountKey=a2V5;BlobEndpoint=acct1.example",
    "AccountName=acct1;SharedAccessSignature=nothing",
  ])("%j is none", (text) => {
    expect(parseConnectionString(text)).toBeUndefined();
  });
});

describe("a file of Azure's credentials", () => {
  const parse = (content: unknown) =>
    revealed(azureCredentialsFormat.parse(typeof content === "string" ? content : JSON.stringify(content)));

  test.each([
    [{ connectionString: "AccountName=acct1;AccountKey=a2V5" }, ["key", "acct1", "a2V5", undefined]],
    [{ accountName: "acct1", accountKey: "a2V5" }, ["key", "acct1", "a2V5", undefined]],
    [{ accountKey: "a2V5" }, ["key", undefined, "a2V5", undefined]],
    [{ accountName: "acct1", sasToken: "?sv=1&sig=x" }, ["sas", "acct1", "sv=1&sig=x", undefined]],
    [{ sasToken: "sig=x" }, ["sas", undefined, "sig=x", undefined]],
    [
      { sasToken: "https://acct1.blob.core.windows.net/c?sv=1&sig=x\n" },
      ["sas", undefined, "sv=1&sig=x", undefined],
    ],
  ])("holds %o", (content, wanted) => {
    expect(parse(content)).toEqual(wanted);
  });

  test.each([
    "AccountName=acct1;AccountKey=a2V5",
    {},
    { accountName: "acct1" },
    { accountName: 7, accountKey: "a2V5" },
    { accountKey: "" },
    { accountKey: "a2V5", sasToken: "sig=x" },
    { connectionString: "AccountName=acct1;AccountKey=a2V5", accountKey: "a2V5" },
    { connectionString: "AccountName=acct1;AccountKey=a2V5", accountName: "acct1" },
    { sasToken: "https://acct1.blob.core.windows.net/c" },
    { sasToken: ["sig=x"] },
  ])("does not hold them: %j", (content) => {
    expect(parse(content)).toBeUndefined();
  });
});

describe("the environment", () => {
  const connectionString = "AccountName=acct1;AccountKey=a2V5";

  test.each([
    [{}, undefined],
    [{ AZURE_STORAGE_ACCOUNT: "acct1" }, undefined],
    [{ AZURE_STORAGE_CONNECTION_STRING: connectionString }, ["key", "acct1", "a2V5", undefined]],
    [
      { AZURE_STORAGE_CONNECTION_STRING: connectionString, AZURE_STORAGE_SAS_TOKEN: "sig=x" },
      ["key", "acct1", "a2V5", undefined],
    ],
    [{ AZURE_STORAGE_ACCOUNT: "acct1", AZURE_STORAGE_KEY: "b" }, ["key", "acct1", "b", undefined]],
    [{ AZURE_STORAGE_SAS_TOKEN: "sig=x" }, ["sas", undefined, "sig=x", undefined]],
    [{ AZURE_STORAGE_KEY: "", AZURE_STORAGE_SAS_TOKEN: "sig=x" }, ["sas", undefined, "sig=x", undefined]],
  ])("%o", (environment, wanted) => {
    expect(revealed(environmentCredentials(environment))).toEqual(wanted);
  });

  test("that holds no signature is refused without showing it, and nobody else is asked for instead", () => {
    expect(() => environmentCredentials({ AZURE_STORAGE_SAS_TOKEN: "geheim" })).toThrow(
      expect.objectContaining({
        code: "config",
        message: "AZURE_STORAGE_SAS_TOKEN does not hold a shared access signature",
      }),
    );
  });

  test("that holds something else is refused without showing it", () => {
    const refuse = () => environmentCredentials({ AZURE_STORAGE_CONNECTION_STRING: "AccountKey=geheim" });

    expect(refuse).toThrow(
      expect.objectContaining({
        code: "config",
        message: "AZURE_STORAGE_CONNECTION_STRING does not hold a connection string",
      }),
    );
  });
});

test("a secret does not show", () => {
  const credentials = parseConnectionString("AccountName=acct1;AccountKey=geheim");

  expect(inspect(credentials) + JSON.stringify(credentials)).not.toContain("geheim");
});
