import type { Rule } from "./rule.ts";
import { clusterRules } from "./rules/clusters.ts";
import { fieldRules } from "./rules/fields.ts";
import { pluginRules } from "./rules/plugins.ts";
import { recoveryRules } from "./rules/recovery.ts";
import { referenceRules } from "./rules/references.ts";
import { scheduleRules } from "./rules/schedules.ts";
import { storeRules } from "./rules/stores.ts";

/** Every rule, by what it is about. */
export const allRules: readonly Rule[] = [
  ...fieldRules,
  ...clusterRules,
  ...storeRules,
  ...pluginRules,
  ...referenceRules,
  ...scheduleRules,
  ...recoveryRules,
];
