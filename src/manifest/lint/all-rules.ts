import type { Rule } from "./rule.ts";
import { annotationRules } from "./rules/annotations.ts";
import { backupRules } from "./rules/backups.ts";
import { clusterRules } from "./rules/clusters.ts";
import { copyRules } from "./rules/copies.ts";
import { credentialRules } from "./rules/credentials.ts";
import { destinationRules } from "./rules/destinations.ts";
import { drillRules } from "./rules/drills.ts";
import { encryptionRules } from "./rules/encryption.ts";
import { externalClusterRules } from "./rules/external-clusters.ts";
import { externalSecretRules } from "./rules/external-secrets.ts";
import { fieldRules } from "./rules/fields.ts";
import { imageRules } from "./rules/images.ts";
import { ownerRules } from "./rules/owners.ts";
import { pluginRules } from "./rules/plugins.ts";
import { recoveryRules } from "./rules/recovery.ts";
import { recoveryTargetRules } from "./rules/recovery-target.ts";
import { referenceRules } from "./rules/references.ts";
import { replicaRules } from "./rules/replicas.ts";
import { restoredClusterRules } from "./rules/restored-clusters.ts";
import { retentionRules } from "./rules/retention.ts";
import { scheduleRules } from "./rules/schedules.ts";
import { secretRules } from "./rules/secrets.ts";
import { serverRules } from "./rules/servers.ts";
import { storeAbilityRules } from "./rules/store-abilities.ts";
import { storeSettingRules } from "./rules/store-settings.ts";

/** Every rule, by what it is about. */
export const allRules: readonly Rule[] = [
  ...fieldRules,
  ...clusterRules,
  ...imageRules,
  ...annotationRules,
  ...replicaRules,
  ...destinationRules,
  ...storeSettingRules,
  ...storeAbilityRules,
  ...credentialRules,
  ...encryptionRules,
  ...retentionRules,
  ...pluginRules,
  ...referenceRules,
  ...secretRules,
  ...ownerRules,
  ...externalSecretRules,
  ...externalClusterRules,
  ...copyRules,
  ...backupRules,
  ...scheduleRules,
  ...recoveryTargetRules,
  ...recoveryRules,
  ...restoredClusterRules,
  ...serverRules,
  ...drillRules,
];
