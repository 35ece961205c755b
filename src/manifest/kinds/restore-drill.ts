import { z } from "zod";
import { parseGoDuration } from "../cron-schedule.ts";
import { recoveryTarget } from "./cluster.ts";
import { localReference, objectOf } from "./common.ts";
import { absolutePath, positiveDuration } from "./values.ts";

/**
 * RestoreDrill: a restore at fixed times that boots a real server and asks it questions. docs/server.md says what each
 * field does.
 */

/** `latest`, or a moment before the drill begins: `-10m`. That it is none after it, the rule `future-target` says. */
const momentOfDrill = z
  .string()
  .refine(
    (text) => text === "latest" || parseGoDuration(text) !== undefined,
    "neither latest, nor a time before now such as -10m, nor the fields of a recoveryTarget",
  );

const check = z.strictObject({
  /** For reports; the statement itself when left out. */
  name: z.string().min(1).optional(),
  database: z.string().min(1),
  sql: z.string().min(1),
  /** What the only row's only column must be, compared as text: `42`, `"42"`, `true` (PostgreSQL's `t`). */
  result: z.union([z.string(), z.number(), z.boolean()]).optional(),
  /** How many rows there must be at least. */
  minRows: z.number().int().min(1).optional(),
});

export const restoreDrill = objectOf(
  "tidemark.dev/v1alpha1",
  "RestoreDrill",
  z
    .strictObject({
      cluster: localReference.optional(),
      server: localReference.optional(),
      /** Six fields, as in a ScheduledBackup. */
      schedule: z.string(),
      suspend: z.boolean().optional(),
      immediate: z.boolean().optional(),
      /** `latest` when left out. */
      target: z.union([momentOfDrill, recoveryTarget]).optional(),
      checks: z.array(check).optional(),
      /** Leaves a restore that failed where it is, to be looked at. */
      keepOnFailure: z.boolean().optional(),
      timeout: positiveDuration.optional(),
      /** Where it is restored to, in a folder of its own that goes afterwards. */
      temporaryDirectory: absolutePath.optional(),
    })
    .refine(
      ({ cluster, server }) => (cluster === undefined) !== (server === undefined),
      "exactly one of cluster and server is to be given",
    ),
);
