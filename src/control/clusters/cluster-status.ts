import { z } from "zod";
import { conditionsSchema, type Condition } from "../resources/conditions.ts";

/**
 * The status of a Cluster, with CloudNativePG's fields and words (its `cluster_types.go`; spec: section 7), and what is
 * ours below `tidemark`. Fields that are not known yet are absent.
 */

export const phases = {
  healthy: "Cluster in healthy state",
  settingUpPrimary: "Setting up primary",
  creatingReplica: "Creating a new replica",
  waitingForInstances: "Waiting for the instances to become active",
  switchover: "Switchover in progress",
  failingOver: "Failing over",
  waitingForUser: "Waiting for user action",
  restartingPrimary: "Primary instance is being restarted in-place",
  applyingConfiguration: "Applying configuration",
  cannotCreate: "Unable to create required cluster objects",
  invalid: "Invalid cluster definition",
  unrecoverable: "Cluster is unrecoverable and needs manual intervention",
  /** Ours: CloudNativePG says it by a condition only. */
  hibernated: "Cluster hibernated",
} as const;

const remembered = z.object({
  currentPrimary: z.string().optional(),
  targetPrimary: z.string().optional(),
  latestGeneratedNode: z.number().optional(),
  phase: z.string().optional(),
  systemID: z.string().optional(),
  conditions: conditionsSchema.optional(),
  tidemark: z
    .object({
      /** Since when the primary has not been well. */
      primaryDownSince: z.string().optional(),
      /** Where the primary was when it last said so. */
      primaryLsn: z.string().optional(),
      takeover: z.object({ mark: z.string(), since: z.string() }).optional(),
      lostStandbys: z
        .array(z.object({ name: z.string(), since: z.string(), lsn: z.string().optional() }))
        .optional(),
      remakes: z.number().optional(),
      /** Hash of what the application's password was set from. */
      applicationSecret: z.string().optional(),
    })
    .optional(),
});

/** How far a failover that waits for something has got, and since when. */
export interface TakeoverProgress {
  /** Changes with every step that is made. */
  readonly mark: string;
  readonly since: string;
}

/** A standby that cannot follow, since when, and where it was then: one that the archive brings on is not where it was. */
export interface LostStandby {
  readonly name: string;
  readonly since: string;
  readonly lsn: string | undefined;
}

/** What later decisions need of an earlier status. */
export interface RememberedStatus {
  readonly currentPrimary: string | undefined;
  readonly targetPrimary: string | undefined;
  readonly latestGeneratedNode: number;
  readonly phase: string | undefined;
  readonly systemId: string | undefined;
  readonly conditions: readonly Condition[];
  readonly primaryDownSince: string | undefined;
  readonly primaryLsn: string | undefined;
  readonly takeover: TakeoverProgress | undefined;
  readonly lostStandbys: readonly LostStandby[];
  readonly remakes: number;
  readonly applicationSecret: string | undefined;
}

/** What cannot be read counts as never said: everything in it can be found out again from the instances. */
export function rememberedStatus(status: unknown): RememberedStatus {
  const parsed = remembered.safeParse(status ?? {});
  const data = parsed.success ? parsed.data : {};
  return {
    currentPrimary: data.currentPrimary,
    targetPrimary: data.targetPrimary,
    latestGeneratedNode: data.latestGeneratedNode ?? 0,
    phase: data.phase,
    systemId: data.systemID,
    conditions: data.conditions ?? [],
    primaryDownSince: data.tidemark?.primaryDownSince,
    primaryLsn: data.tidemark?.primaryLsn,
    takeover: data.tidemark?.takeover,
    lostStandbys: (data.tidemark?.lostStandbys ?? []).map(({ name, since, lsn }) => ({ name, since, lsn })),
    remakes: data.tidemark?.remakes ?? 0,
    applicationSecret: data.tidemark?.applicationSecret,
  };
}
