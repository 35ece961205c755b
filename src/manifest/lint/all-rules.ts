import type { Rule } from "./rule.ts";
import { backupRules } from "./rules/backups.ts";
import { clusterRules } from "./rules/clusters.ts";
import { credentialRules } from "./rules/credentials.ts";
import { destinationRules } from "./rules/destinations.ts";
import { externalClusterRules } from "./rules/external-clusters.ts";
import { fieldRules } from "./rules/fields.ts";
import { pluginRules } from "./rules/plugins.ts";
import { recoveryRules } from "./rules/recovery.ts";
import { recoveryTargetRules } from "./rules/recovery-target.ts";
import { referenceRules } from "./rules/references.ts";
import { retentionRules } from "./rules/retention.ts";
import { scheduleRules } from "./rules/schedules.ts";
import { secretRules } from "./rules/secrets.ts";
import { storeSettingRules } from "./rules/store-settings.ts";

/** Every rule, by what it is about. */
export const allRules: readonly Rule[] = [
  ...fieldRules,
  ...clusterRules,
  ...destinationRules,
  ...storeSettingRules,
  ...credentialRules,
  ...retentionRules,
  ...pluginRules,
  ...referenceRules,
  ...secretRules,
  ...externalClusterRules,
  ...backupRules,
  ...scheduleRules,
  ...recoveryTargetRules,
  ...recoveryRules,
];
