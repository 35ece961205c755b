import { expect, test } from "vitest";
import { externalSecretProblems } from "./external-secret-problems.ts";
import { externalSecretSpec } from "./kinds/external-secret.ts";
import { formatPath } from "./manifest-object.ts";

const one = { secretKey: "a", remoteRef: { key: "b" } };

function problems(spec: unknown): readonly string[] {
  return externalSecretProblems(externalSecretSpec.parse(spec)).map(
    ({ kind, path, message }) => `${kind} ${formatPath(path)}: ${message}`,
  );
}

test("what is done here has no problems", () => {
  expect(
    problems({
      secretStoreRef: { name: "vault", kind: "ClusterSecretStore" },
      refreshInterval: "15m",
      refreshPolicy: "OnChange",
      target: {
        name: "x",
        creationPolicy: "Owner",
        deletionPolicy: "Delete",
        immutable: true,
        template: {
          engineVersion: "v2",
          type: "kubernetes.io/basic-auth",
          mergePolicy: "Merge",
          metadata: { labels: { app: "{{ .a }}" }, annotations: {} },
          data: { url: "postgres://{{ .a }}@db" },
        },
      },
      data: [
        {
          ...one,
          remoteRef: {
            key: "b",
            property: "c",
            version: "1",
            decodingStrategy: "Base64",
            metadataPolicy: "None",
          },
        },
      ],
      dataFrom: [
        {
          extract: { key: "b", conversionStrategy: "Unicode" },
          rewrite: [{ regexp: { source: "^db-", target: "" } }],
        },
        { find: { name: { regexp: "^db-" }, path: "databases" }, sourceRef: { storeRef: { name: "other" } } },
      ],
    }),
  ).toEqual([]);
});

test.each([
  [{}, "invalid spec: either data or dataFrom should be specified"],
  [{ data: [one, one] }, "invalid spec.data[1].secretKey: duplicate secretKey found: a"],
  [
    { data: [one], target: { creationPolicy: "Merge", deletionPolicy: "Delete" } },
    "invalid spec.target.deletionPolicy: deletionPolicy=Delete must not be used when the controller doesn't own the secret. Please set creationPolicy=Owner",
  ],
  [
    { data: [one], target: { creationPolicy: "None", deletionPolicy: "Merge" } },
    "invalid spec.target.deletionPolicy: deletionPolicy=Merge must not be used with creationPolicy=None. There is no Secret to merge with",
  ],
  [
    { dataFrom: [{}] },
    "invalid spec.dataFrom[0]: either extract, find, or sourceRef must be set to dataFrom",
  ],
  [
    { dataFrom: [{ extract: { key: "a" }, find: { name: { regexp: "a" } } }] },
    "invalid spec.dataFrom[0]: extract, find, or generatorRef cannot be set at the same time",
  ],
  [
    { dataFrom: [{ extract: { key: "a" }, rewrite: [{}] }] },
    "invalid spec.dataFrom[0].rewrite[0]: exactly one of regexp, transform and merge is to be given",
  ],
  [
    { dataFrom: [{ sourceRef: { generatorRef: { kind: "Password", name: "p" } } }] },
    "unsupported spec.dataFrom[0].sourceRef.generatorRef: values are not generated here",
  ],
  [
    { dataFrom: [{ extract: { key: "a" }, rewrite: [{ transform: { template: "x" } }] }] },
    "unsupported spec.dataFrom[0].rewrite[0].transform: keys are rewritten by regexp only here",
  ],
  [
    { dataFrom: [{ extract: { key: "a" }, rewrite: [{ regexp: { source: "(?=a)", target: "" } }] }] },
    'unsupported spec.dataFrom[0].rewrite[0].regexp.source: "(?=a)" is not a regular expression that is understood here',
  ],
  [
    { dataFrom: [{ find: { tags: { env: "prod" } } }] },
    "unsupported spec.dataFrom[0].find.tags: the sources here have no tags",
  ],
  [
    { data: [{ ...one, remoteRef: { key: "b", metadataPolicy: "Fetch" } }] },
    "unsupported spec.data[0].remoteRef.metadataPolicy: the sources here have values only, and no metadata",
  ],
  [
    { data: [one], target: { template: { data: { x: "hunter2 {{ .a | upper }}" } } } },
    "unsupported spec.target.template.data.x: {{ .a | upper }} is more than {{ .key }}",
  ],
  [
    { data: [one], target: { template: { templateFrom: [{ configMap: { name: "t", items: [] } }] } } },
    "unsupported spec.target.template.templateFrom: templates are not read from other objects here",
  ],
  [
    { data: [one], target: { manifest: { apiVersion: "v1", kind: "ConfigMap" } } },
    "unsupported spec.target.manifest: only Secrets are made here",
  ],
])("%j", (spec, problem) => {
  expect(problems(spec)).toEqual([problem]);
});
