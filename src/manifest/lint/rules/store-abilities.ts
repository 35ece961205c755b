import { chooseS3Profile, type S3Profile } from "../../../storage/s3/s3-profile.ts";
import { refusedWishes, type RefusedWish, type S3Wishes } from "../../../storage/s3/s3-wishes.ts";
import { configurations } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { recordAt, textAt } from "../world.ts";

/** What a store is asked for, and its maker does not do. */

const storeCannot: Rule = {
  id: "store-cannot",
  severity: "error",
  summary: "tags or encryption that this maker of stores refuses",
  explanation:
    "Stores that speak S3 do not do all of it. Cloudflare R2, Backblaze B2 and Google's S3 door have no object tags, and take no key of a key service; each write that asks for them is refused, the first WAL segment included. `docs/configuration.md` has a table of who can what.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      if (textAt(object, ...path, "destinationPath")?.startsWith("s3://") !== true) continue;
      const profile = chooseS3Profile(textAt(object, ...path, "endpointURL"), undefined);
      for (const field of ["tags", "historyTags"]) {
        const at = [...path, field];
        const objectTags = Object.keys(recordAt(object, ...at) ?? {}).length > 0;
        for (const refused of refusedOf(profile, { objectTags }))
          yield { object, path: at, ...said(refused) };
      }
      for (const part of ["wal", "data"]) {
        const at = [...path, part, "encryption"];
        if (textAt(object, ...at) !== "aws:kms") continue;
        for (const refused of refusedOf(profile, { encryption: ["aws:kms"] }))
          yield { object, path: at, ...said(refused) };
      }
    }
  },
};

function refusedOf(profile: S3Profile, wishes: Partial<S3Wishes>): readonly RefusedWish[] {
  const nothing = { objectTags: false, encryption: [], kmsKeyId: undefined, storageClasses: [] };
  return refusedWishes(profile, { ...nothing, ...wishes });
}

const said = ({ problem, hint }: RefusedWish) => ({ message: problem, hint });

export const storeAbilityRules: readonly Rule[] = [storeCannot];
