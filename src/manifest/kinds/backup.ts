import { z } from "zod";
import { backupMethod, backupTarget, localReference, objectOf } from "./common.ts";
import { kubernetesOnly } from "./field-facts.ts";

/** Backup and ScheduledBackup (spec: sections 8 and 9). */

const pluginConfiguration = z.strictObject({
  name: z.string(),
  parameters: z.record(z.string(), z.string()).optional(),
});

const howToBackUp = {
  cluster: localReference,
  method: backupMethod.optional(),
  target: backupTarget.optional(),
  pluginConfiguration: pluginConfiguration.optional(),
  // Of volume snapshots.
  online: kubernetesOnly.optional(),
  onlineConfiguration: kubernetesOnly.optional(),
};

export const backup = objectOf("postgresql.cnpg.io/v1", "Backup", z.strictObject(howToBackUp));

export const scheduledBackup = objectOf(
  "postgresql.cnpg.io/v1",
  "ScheduledBackup",
  z.strictObject({
    ...howToBackUp,
    schedule: z.string(),
    suspend: z.boolean().optional(),
    immediate: z.boolean().optional(),
    backupOwnerReference: z.enum(["none", "self", "cluster"]).optional(),
  }),
);
