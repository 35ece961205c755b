import type { CheckFact } from "../../check/check-fact.ts";
import { checkStore } from "../../check/check-store.ts";
import { EngineError } from "../../common/errors.ts";
import { objectHeaders } from "../../repository/object-headers.ts";
import {
  nameRepositories,
  openSettingsStore,
  type NamedSettings,
} from "../../repository/open-repositories.ts";
import { repositoryFromFlags, resolveConfig } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";
import { formatJson, parseOutputFormat } from "../output.ts";
import { formatFact } from "../check-text.ts";

type CheckStoreOptions = Omit<RepositoryOptions, "repo" | "server" | "logLevel">;

interface StoreReport {
  readonly repository: string;
  readonly url: string;
  readonly maker: string | null;
  readonly facts: readonly CheckFact[];
}

/**
 * `tidemark check store`: each fact is shown when it is found. It ends with the status of the first failure, when there is
 * one.
 */
export async function run(
  wanted: string | undefined,
  options: CheckStoreOptions,
  signal: AbortSignal,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const targets = await chooseTargets(wanted, options);
  const reports: StoreReport[] = [];
  for (const settings of targets) {
    const isText = format === "text";
    if (isText && targets.length > 1) process.stdout.write(`${settings.name}: ${settings.url}\n`);
    reports.push(
      await checkOne(settings, signal, (fact) => {
        if (isText) process.stdout.write(formatFact(fact));
      }),
    );
  }
  if (format === "json") process.stdout.write(formatJson({ stores: reports }));
  throwFirstFailure(reports);
}

async function checkOne(
  settings: NamedSettings,
  signal: AbortSignal,
  onFact: (fact: CheckFact) => void,
): Promise<StoreReport> {
  const store = await openSettingsStore(settings, signal);
  try {
    const facts = await checkStore(store, { signal, asked: objectHeaders(settings), onFact });
    return { repository: settings.name, url: store.url, maker: store.capabilities.maker ?? null, facts };
  } finally {
    await store.close();
  }
}

/** What has the name of a configured repository is that one, with its settings; anything else is a URL. */
async function chooseTargets(
  wanted: string | undefined,
  options: CheckStoreOptions,
): Promise<readonly NamedSettings[]> {
  const config = await resolveConfig(options);
  const configured = nameRepositories(config.repositories ?? []);
  if (wanted !== undefined) {
    const found = configured.find(({ name }) => name === wanted);
    return nameRepositories([found ?? repositoryFromFlags(wanted, options)]);
  }
  if (configured.length > 0) return configured;
  throw new EngineError("config", "no store is given", {
    hint: "Name one: tidemark check store s3://bucket/path; or a configuration file with repositories (--config).",
  });
}

function throwFirstFailure(reports: readonly StoreReport[]): void {
  const failures = reports.flatMap(({ url, facts }) =>
    facts.filter(({ verdict }) => verdict === "fail").map((fact) => ({ url, fact })),
  );
  const [first] = failures;
  if (first === undefined) return;
  const count = failures.length === 1 ? "1 check" : `${failures.length} checks`;
  const { code = "store-unfit", topic, hint } = first.fact;
  throw new EngineError(
    code,
    `${count} failed, the first at ${first.url}: ${topic}`,
    hint === undefined ? {} : { hint },
  );
}
