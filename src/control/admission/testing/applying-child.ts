import { systemClock } from "../../../common/clock.ts";
import { silentLog } from "../../../common/log.ts";
import { openResourceStore } from "../../resources/sqlite-resource-store.ts";
import { applyManifests } from "../apply-manifests.ts";

/**
 * Applies several objects again and again, all with the number of the round, until it is killed: `node applying-child.ts PATH
 * KEYFILE FIRST`. Says each number when it has been applied.
 */
const [path = "", keyFile = "", first = "0"] = process.argv.slice(2);
const store = await openResourceStore({ path, keyFile, clock: systemClock, log: silentLog });
for (let round = Number(first); ; round++) {
  const texts = ["a", "b", "c", "d", "e"].map((name) => ({
    path: name,
    text: JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: round % 3 === 0 ? `${name}${round}` : name },
      data: { round: String(round) },
    }),
  }));
  applyManifests({ store, texts, defaultNamespace: "default" });
  process.stdout.write(`${round}\n`);
}
