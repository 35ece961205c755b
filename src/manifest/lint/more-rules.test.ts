import { describe, expect, test } from "vitest";
import { parseManifests } from "../parse.ts";
import { allRules } from "./all-rules.ts";
import { runRules } from "./run-rules.ts";

/** What one rule says of some manifests. */
function findings(rule: string, ...objects: readonly object[]): readonly string[] {
  const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
  return runRules(parseManifests([{ path: "a.yaml", text }]), allRules)
    .filter((report) => report.rule === rule)
    .map(({ severity, field, message }) => `${severity} ${field}: ${message}`);
}

function cluster(spec: object, annotations: Readonly<Record<string, string>> = {}, name = "pg") {
  return {
    apiVersion: "postgresql.cnpg.io/v1",
    kind: "Cluster",
    metadata: { name, annotations },
    spec: { storage: { size: "1Gi" }, ...spec },
  };
}

function backup(spec: object, kind = "Backup") {
  return {
    apiVersion: "postgresql.cnpg.io/v1",
    kind,
    metadata: { name: "b" },
    spec: { cluster: { name: "pg" }, ...spec },
  };
}

describe("image-version", () => {
  test.each([
    ["ghcr.io/cloudnative-pg/postgresql:17", []],
    ["ghcr.io/cloudnative-pg/postgresql:17.5-bookworm", []],
    ["localhost:5000/postgresql:16@sha256:0123", []],
    ["", []],
    [
      "localhost:5000/postgresql",
      ['error spec.imageName: "localhost:5000/postgresql" has no tag: nothing says which PostgreSQL it is'],
    ],
    [
      "postgresql@sha256:17ab",
      ['error spec.imageName: "postgresql@sha256:17ab" has no tag: nothing says which PostgreSQL it is'],
    ],
    ["postgresql:latest", ["error spec.imageName: the tag latest does not say which PostgreSQL it is"]],
    ["postgresql:bookworm", ['error spec.imageName: the tag "bookworm" does not begin with a version']],
    [
      "postgresql:12.4",
      ["error spec.imageName: unsupported PostgreSQL version 12: versions 13 or newer are supported"],
    ],
    ["postgresql:99", ["warning spec.imageName: PostgreSQL 99 is not known here, so it cannot be run here"]],
  ])("%s", (imageName, expected) => {
    expect(findings("image-version", cluster({ imageName }))).toEqual(expected);
  });
});

describe("replica-mode", () => {
  const copied = { bootstrap: { pg_basebackup: { source: "a" } } };

  test.each([
    [{ ...copied, replica: { source: "a", enabled: true } }, []],
    [{ ...copied, replica: { source: "a", primary: "a", self: "pg" } }, []],
    // It is the primary itself.
    [{ replica: { source: "a", primary: "pg" } }, []],
    [{ replica: { source: "a", primary: "b", self: "b" } }, []],
    [{ replica: { source: "a", enabled: false } }, []],
    [
      { replica: { source: "a" } },
      ["error spec.replica: bootstrap configuration is required for replica mode"],
    ],
    [
      { bootstrap: { initdb: {} }, replica: { source: "a", enabled: true } },
      ["error spec.bootstrap: replica mode bootstrap is compatible only with pg_basebackup or recovery"],
    ],
    [
      { ...copied, replica: { source: "a", primary: "a", enabled: false } },
      ["error spec.replica.enabled: replica mode enabled is not compatible with the primary field"],
    ],
    [
      { ...copied, replica: { source: "a", enabled: true, promotionToken: "t" } },
      ["error spec.replica.promotionToken: promotionToken is only allowed for primary clusters"],
    ],
    [
      { replica: { source: "a", primary: "pg", promotionToken: "t", minApplyDelay: "1h" } },
      ["error spec.replica.minApplyDelay: minApplyDelay cannot be applied with a promotion token"],
    ],
  ])("%j", (spec, expected) => {
    expect(findings("replica-mode", cluster(spec))).toEqual(expected);
  });
});

test("all names of a replica cluster are among its external clusters", () => {
  const spec = {
    replica: { source: "a", self: "b", primary: "c" },
    externalClusters: [{ name: "a", connectionParameters: {} }],
  };

  expect(findings("missing-external-cluster", cluster(spec))).toEqual([
    'error spec.replica.self: external cluster "b" not found',
    'error spec.replica.primary: external cluster "c" not found',
  ]);
});

describe("secret-username", () => {
  const secret = (content: object) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "owner" },
    type: "kubernetes.io/basic-auth",
    ...content,
  });
  const initdb = (more: object = {}) =>
    cluster({ bootstrap: { initdb: { secret: { name: "owner" }, ...more } } });
  const wrong = (owner: string, path = "spec.bootstrap.initdb.secret.name") => [
    `error ${path}: the username in Secret "owner" is not "${owner}", for whom it is`,
  ];
  const encoded = { data: { username: Buffer.from("shop").toString("base64"), password: "eA==" } };

  test.each([
    [secret(encoded), initdb({ owner: "shop" }), []],
    [secret(encoded), initdb({ database: "shop" }), []],
    // The defaults of both are app.
    [secret(encoded), initdb(), wrong("app")],
    [secret(encoded), initdb({ owner: "other" }), wrong("other")],
    [secret({ stringData: { username: "shop", password: "x" } }), initdb({ owner: "shop" }), []],
    [
      secret({ stringData: { username: "shop" } }),
      initdb({ owner: "shop" }),
      [
        'error spec.bootstrap.initdb.secret.name: Secret "owner" has no key "password": the user gets no password',
      ],
    ],
    [
      secret(encoded),
      cluster({ superuserSecret: { name: "owner" } }),
      wrong("postgres", "spec.superuserSecret.name"),
    ],
    [secret(encoded), cluster({ bootstrap: { recovery: { source: "a", secret: { name: "owner" } } } }), []],
  ])("%j for %j", (first, second, expected) => {
    const found = findings("secret-username", first, second);

    expect(found).toEqual(expected);
  });

  test("says nothing of what is in the Secret", () => {
    const [found] = findings(
      "secret-username",
      secret({ stringData: { username: "hunter2", password: "hunter3" } }),
      initdb(),
    );

    expect(found).toBeDefined();
    expect(found).not.toMatch(/hunter/);
  });
});

describe("annotations", () => {
  test.each([
    [{ "cnpg.io/skipWalArchiving": "enabled" }, []],
    [
      { "cnpg.io/skipWalArchiving": "true" },
      [
        'warning metadata.annotations["cnpg.io/skipWalArchiving"]: "true" means nothing here: it should be "enabled" or "disabled"',
      ],
    ],
    [
      { "cnpg.io/skipwalarchiving": "enabled" },
      ['warning metadata.annotations["cnpg.io/skipwalarchiving"]: nobody reads "cnpg.io/skipwalarchiving"'],
    ],
    [
      { "cnpg.io/hibernate": "on" },
      ['warning metadata.annotations["cnpg.io/hibernate"]: nobody reads "cnpg.io/hibernate"'],
    ],
    [{ "tidemark.dev/remake-standbys-after": "never" }, []],
    [
      { "tidemark.dev/remake-standbys-after": "5m" },
      [
        'warning metadata.annotations["tidemark.dev/remake-standbys-after"]: "5m" means nothing here: it should be a number of seconds, or "never"',
      ],
    ],
    // Others of CloudNativePG's own.
    [
      {
        "cnpg.io/validation": "disabled",
        "cnpg.io/fencedInstances": "[]",
        "cnpg.io/reloadedAt": "x",
        hibernation: "on",
      },
      [],
    ],
  ] as const)("%j", (annotations, expected) => {
    expect(findings("annotation-without-effect", cluster({}, annotations))).toEqual(expected);
  });

  test("both protections can be switched off, and both are said", () => {
    const off = { "cnpg.io/skipWalArchiving": "enabled", "cnpg.io/skipEmptyWalArchiveCheck": "enabled" };

    expect(findings("protection-switched-off", cluster({}, off))).toHaveLength(2);
    expect(findings("hibernated-cluster", cluster({}, { "cnpg.io/hibernation": "on" }), backup({}))).toEqual([
      'warning spec.cluster.name: Cluster "pg" hibernates: cannot backup a hibernated cluster',
    ]);
  });
});

describe("snapshot-options and plugin-configuration", () => {
  test("options of snapshots are refused in-tree, and mean nothing to a plugin", () => {
    expect(findings("snapshot-options", backup({ method: "volumeSnapshot", online: true }))).toEqual([]);
    expect(
      findings("snapshot-options", backup({ online: true, onlineConfiguration: {} }, "ScheduledBackup")),
    ).toEqual([
      'error spec.online: online can be specified only if the backup method is volumeSnapshot, and it is "barmanObjectStore"',
      'error spec.onlineConfiguration: onlineConfiguration can be specified only if the backup method is volumeSnapshot, and it is "barmanObjectStore"',
    ]);
    expect(findings("snapshot-options", backup({ method: "plugin", online: false }))).toEqual([
      'warning spec.online: online can be specified only if the backup method is volumeSnapshot, and it is "plugin"',
    ]);
  });

  test("a plugin that is named without its method is not asked", () => {
    const named = { pluginConfiguration: { name: "barman-cloud.cloudnative-pg.io" } };

    expect(findings("plugin-configuration", backup(named))).toEqual([
      "warning spec.pluginConfiguration: method is not given, which means barmanObjectStore: pluginConfiguration is not read",
    ]);
    expect(findings("plugin-configuration", backup({ ...named, method: "barmanObjectStore" }))).toEqual([
      'warning spec.pluginConfiguration: method is "barmanObjectStore": pluginConfiguration is not read',
    ]);
    // `backup-method` says it, and corrects it.
    expect(findings("plugin-configuration", backup(named), cluster({}))).toEqual([]);
  });
});

test("unusable-source: a store cannot be copied, a server not recovered from", () => {
  const entries = {
    externalClusters: [
      { name: "server", connectionParameters: { host: "a" } },
      {
        name: "store",
        plugin: { name: "barman-cloud.cloudnative-pg.io", parameters: { barmanObjectName: "r2" } },
      },
    ],
  };
  const of = (bootstrap: object) => findings("unusable-source", cluster({ bootstrap, ...entries }));

  expect(of({ pg_basebackup: { source: "server" } })).toEqual([]);
  expect(of({ recovery: { source: "store" } })).toEqual([]);
  expect(of({ pg_basebackup: { source: "store" } })).toEqual([
    'error spec.bootstrap.pg_basebackup.source: external cluster "store" has no connectionParameters: there is no server to copy',
  ]);
  expect(of({ recovery: { source: "server" } })).toEqual([
    'error spec.bootstrap.recovery.source: external cluster "server" has no store: there is no backup to recover from',
  ]);
});

describe("copy-source", () => {
  const copyOf = (connectionParameters: object, more: object = {}) =>
    cluster(
      {
        bootstrap: { pg_basebackup: { source: "origin" } },
        externalClusters: [{ name: "origin", connectionParameters }],
        ...more,
      },
      {},
      "pg-copy",
    );
  const at = "spec.externalClusters[0].connectionParameters";
  const image = (major: number) => ({ imageName: `ghcr.io/cloudnative-pg/postgresql:${major}` });

  test.each([
    [{ host: "pg-rw" }, []],
    [{ host: "pg-ro.default.svc.cluster.local" }, []],
    [
      { user: "streaming_replica" },
      [`warning ${at}.host: external cluster "origin" has no host: nothing says what is to be copied`],
    ],
    [
      { host: "db.example.com" },
      [
        `warning ${at}.host: "db.example.com" is no Cluster's service: a server from elsewhere is not copied here`,
      ],
    ],
    [
      { host: "pg-rw", hostaddr: "10.0.0.1" },
      [
        `warning ${at}.hostaddr: "10.0.0.1" is no Cluster's service: a server from elsewhere is not copied here`,
      ],
    ],
    [
      { host: "pg-rw.production" },
      [`warning ${at}.host: Cluster "pg" is not in namespace "production" of these manifests`],
    ],
    [{ host: "pg-copy-rw" }, [`error ${at}.host: "pg-copy-rw" is this Cluster's own service`]],
  ])("%j", (connectionParameters, expected) => {
    expect(findings("copy-source", cluster({}), copyOf(connectionParameters))).toEqual(expected);
  });

  test("a copy of another major version is none", () => {
    const of = (own: object, theirs: object) =>
      findings("copy-source", cluster(theirs), copyOf({ host: "pg-r" }, own));

    expect(of(image(17), image(17))).toEqual([]);
    expect(of({}, image(16))).toEqual([]);
    expect(of(image(17), image(16))).toEqual([
      'error spec.imageName: it is of PostgreSQL 17, and Cluster "pg", which it is a copy of, of 16: a copy has the major version of its origin',
    ]);
  });
});

test("archives-nowhere: a copy has no archive because its origin has one", () => {
  const copy = {
    bootstrap: { pg_basebackup: { source: "origin" } },
    externalClusters: [{ name: "origin", connectionParameters: { host: "pg-rw" } }],
  };

  expect(findings("archives-nowhere", cluster(copy))).toEqual([
    "warning spec: the new cluster archives nowhere: it has no plugin, and externalClusters is only where it comes from",
  ]);
});

test("kubernetes-only: certificates and passwords of external clusters, since sockets ask for neither", () => {
  const sslKey = { name: "pg-replication", key: "tls.key" };
  const entry = { name: "origin", connectionParameters: { host: "pg-rw" }, sslKey, password: { key: "p" } };

  expect(findings("kubernetes-only", cluster({ externalClusters: [entry] }))).toEqual([
    "info spec.externalClusters[0].sslKey: without effect on one machine: spec.externalClusters[0].sslKey, spec.externalClusters[0].password",
  ]);
});

test("two-writers: a directory is the same with file:// and without", () => {
  const store = (name: string, destinationPath: string) => ({
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    metadata: { name },
    spec: { configuration: { destinationPath } },
  });
  const writer = (name: string, barmanObjectName: string) =>
    cluster(
      {
        plugins: [
          {
            name: "barman-cloud.cloudnative-pg.io",
            parameters: { barmanObjectName, serverName: "pg" },
          },
        ],
      },
      {},
      name,
    );

  expect(
    findings(
      "two-writers",
      store("one", "/srv/backups"),
      store("two", "file:///srv/backups/"),
      writer("pg", "one"),
      writer("pg-copy", "two"),
    ),
  ).toEqual([
    'error spec.plugins[0]: it writes to file:///srv/backups/ as server "pg", and so does Cluster default/pg',
  ]);
});

test("bad-archive-policy: of a Cluster's parameters too", () => {
  const of = (archivePolicy: string) =>
    findings(
      "bad-archive-policy",
      cluster({
        plugins: [
          {
            name: "barman-cloud.cloudnative-pg.io",
            parameters: { barmanObjectName: "r2", additionalObjectNames: "minio, r2", archivePolicy },
          },
        ],
      }),
    );
  const path = "error spec.plugins[0].parameters.archivePolicy";

  for (const right of ["all", "any", "1", "2", "minio", "minio, r2"]) expect(of(right)).toEqual([]);
  expect(of("3")).toEqual([
    `${path}: it asks for 3 stores, and there are 2: WAL would never count as archived`,
  ]);
  expect(of("r2, both")).toEqual([
    `${path}: "both" is neither all, nor any, nor a number, nor the name of one of its stores`,
  ]);
});

test("missing-tablespace: restored from a Backup, names without regard to case, temporary ones need not be there", () => {
  const tablespaces = (...names: readonly string[]) => ({
    tablespaces: names.map((name) => ({ name, storage: { size: "1Gi" }, temporary: name === "scratch" })),
  });
  const restored = (spec: object) =>
    cluster({ bootstrap: { recovery: { backup: { name: "b" } } }, ...spec }, {}, "restored");
  const origin = cluster(tablespaces("Archive", "scratch"));

  expect(findings("missing-tablespace", origin, backup({}), restored(tablespaces("archive")))).toEqual([]);
  expect(findings("missing-tablespace", origin, backup({}), restored({}))).toEqual([
    'warning spec.bootstrap.recovery: Cluster "pg" has a tablespace "Archive", and this one, which is restored from it, has not',
  ]);
});

describe("stores in Azure", () => {
  const url = "https://acct1.blob.core.windows.net/backups/pg";
  const secret = { name: "azure", key: "k" };
  const store = (configuration: object) => ({
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    metadata: { name: "azure" },
    spec: {
      configuration: {
        destinationPath: url,
        azureCredentials: { connectionString: secret },
        ...configuration,
      },
    },
  });

  test.each([
    [{}, []],
    [{ azureCredentials: { storageAccount: secret, storageSasToken: secret } }, []],
    [{ azureCredentials: { inheritFromAzureAD: true } }, []],
    [{ destinationPath: "http://127.0.0.1:10000/acct1/backups/pg" }, []],
    [
      { azureCredentials: { storageKey: secret } },
      ["error spec.configuration: storageAccount must be given with a key or SAS token"],
    ],
    [
      { destinationPath: "s3://backups/pg" },
      [
        "error spec.configuration: azureCredentials are given, but destinationPath is no address of a container of Azure",
      ],
    ],
    [
      { azureCredentials: undefined, s3Credentials: { inheritFromIAMRole: true } },
      [
        "error spec.configuration: s3Credentials are for s3://, and destinationPath is the address of a container of Azure",
      ],
    ],
  ])("credentials: %j", (configuration, expected) => {
    expect(findings("credentials", store(configuration))).toEqual(expected);
  });

  test.each([
    [url, []],
    ["azure://acct1/backups", []],
    [
      "https://minio.example/backups/pg",
      [
        'error spec.configuration.destinationPath: "https://minio.example/backups/pg" is not the address of an Azure container',
      ],
    ],
    [
      `${url}?sv=1&sig=geheim`,
      [`error spec.configuration.destinationPath: "${url}" came with credentials in the URL`],
    ],
  ])("the address %s", (destinationPath, expected) => {
    expect(findings("bad-store-address", store({ destinationPath }))).toEqual(expected);
  });

  test("encryption, which only S3 is asked for, is said to mean nothing", () => {
    expect(findings("server-side-encryption", store({ data: { encryption: "AES256" } }))).toEqual([
      'info spec.configuration.data.encryption: "AES256" is a wish that S3 knows: Azure encrypts everything anyway, and holds the key',
    ]);
  });
});
