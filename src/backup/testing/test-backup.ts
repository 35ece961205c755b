import { systemClock, type Clock } from "../../common/clock.ts";
import { silentLog, type Log } from "../../common/log.ts";
import { mib } from "../../common/units.ts";
import type { Repository } from "../../repository/repository.ts";
import type { StoredForm } from "../../repository/stored-form.ts";
import { Destinations } from "../destinations.ts";
import { Pace, type PaceLimits } from "../pace.ts";

/** What the parts of a backup into these repositories are written with. */
export function testBackup(
  repositories: readonly Repository[],
  given: Partial<PaceLimits> & {
    readonly form?: StoredForm;
    readonly required?: number;
    readonly answerGraceMs?: number;
    readonly clock?: Clock;
    readonly log?: Log;
    readonly signal?: AbortSignal;
  } = {},
) {
  const {
    form = { codec: "none" },
    required = 1,
    answerGraceMs = 30_000,
    clock = systemClock,
    log = silentLog,
  } = given;
  const stop = new AbortController();
  const signal = given.signal === undefined ? stop.signal : AbortSignal.any([given.signal, stop.signal]);
  const targets = repositories.map((repository) => ({ repository, form }));
  const destinations = new Destinations({ targets, required, answerGraceMs, clock, log, stop, signal });
  const { maxBehindBytes = mib, maxHoldUpMs = 60_000 } = given;
  return { destinations, pace: new Pace(destinations, { maxBehindBytes, maxHoldUpMs, clock, signal }), stop };
}
