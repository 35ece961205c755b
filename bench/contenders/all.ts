import { barmanCloudContender } from "./barman-cloud.ts";
import type { Ability, Contender } from "./contender.ts";
import { pgbackrestContenders } from "./pgbackrest.ts";
import { severalRepositoriesContenders, tidemarkContenders } from "./tidemark.ts";

export function allContenders(): Contender[] {
  return [
    ...tidemarkContenders(),
    ...severalRepositoriesContenders(),
    ...pgbackrestContenders(),
    barmanCloudContender(),
  ];
}

/** Those whose ID contains one of `parts` (all, when there are none), without S3 if it is not wanted. */
export function chooseContenders(options: {
  readonly contenders: readonly string[];
  readonly s3: boolean;
}): Contender[] {
  return allContenders().filter(
    ({ id, store }) =>
      (options.s3 || store !== "s3") &&
      (options.contenders.length === 0 || options.contenders.some((part) => id.includes(part))),
  );
}

export function ableTo(contenders: readonly Contender[], ability: Ability): Contender[] {
  return contenders.filter(({ abilities }) => abilities.has(ability));
}
