/**
 * What kinds are called on command lines and in addresses. Apart from the schemas of `manifest/kinds/registry.ts`, because
 * commands need the names and not the schemas; a test holds the two together.
 */
export interface KindName {
  readonly kind: string;
  /** In which its manifests are taken; the first one is used to ask for it. */
  readonly apiVersions: readonly [string, ...string[]];
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** Only Namespaces themselves are not. */
  readonly isNamespaced: boolean;
  /** Whether `get all` shows it. */
  readonly isInAll: boolean;
}

const core = (kind: string, shortNames: readonly string[] = []): KindName => ({
  kind,
  apiVersions: ["v1"],
  plural: `${kind.toLowerCase()}s`,
  shortNames,
  isNamespaced: kind !== "Namespace",
  isInAll: false,
});

const custom = (
  kind: string,
  apiVersions: readonly [string, ...string[]],
  shortNames: readonly string[] = [],
): KindName => ({
  kind,
  apiVersions,
  plural: `${kind.toLowerCase()}s`,
  shortNames,
  isNamespaced: true,
  isInAll: true,
});

/** In the order in which `get all` shows them. */
export const kindNames: readonly KindName[] = [
  core("Namespace", ["ns"]),
  core("Secret"),
  core("ConfigMap", ["cm"]),
  custom("Cluster", ["postgresql.cnpg.io/v1"]),
  custom("Backup", ["postgresql.cnpg.io/v1"]),
  custom("ScheduledBackup", ["postgresql.cnpg.io/v1"]),
  custom("ObjectStore", ["barmancloud.cnpg.io/v1"]),
  custom("ExternalSecret", ["external-secrets.io/v1", "external-secrets.io/v1beta1"], ["es"]),
  custom("Server", ["tidemark.dev/v1alpha1"]),
  custom("RestoreDrill", ["tidemark.dev/v1alpha1"]),
];

/** By kind, singular, plural or short name in any case, also with its group: `backups.postgresql.cnpg.io`. */
export function findKindName(word: string): KindName | undefined {
  const wanted = word.toLowerCase();
  return kindNames.find(({ kind, plural, shortNames, apiVersions }) => {
    const names = [kind.toLowerCase(), plural, ...shortNames];
    return names.some(
      (name) => name === wanted || apiVersions.some((version) => `${name}.${groupOf(version)}` === wanted),
    );
  });
}

/** By its exact kind. */
export function kindNameOf(kind: string): KindName | undefined {
  return kindNames.find((known) => known.kind === kind);
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
}

/** `/api/v1`, `/apis/postgresql.cnpg.io/v1`: where Kubernetes has the objects of a version. */
export function versionPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
