import { isEngineError } from "../common/errors.ts";
import { unopenedStore } from "../storage/unopened-store.ts";
import { nameRepositories, openRepositories, type OpenRepositoriesOptions } from "./open-repositories.ts";
import type { Repository } from "./repository.ts";
import { parseServerName } from "./server-name.ts";

/**
 * Opens one server's repositories as `openRepositories` does, for those who can do without some of them: where a store cannot be
 * opened just now, each of its calls fails with the reason. The caller closes them.
 *
 * @throws EngineError `config`, `usage`: a mistake is one whatever the stores say.
 */
export async function openEachRepository(options: OpenRepositoriesOptions): Promise<readonly Repository[]> {
  const repositories: Repository[] = [];
  for (const settings of nameRepositories(options.settings)) {
    try {
      repositories.push(...(await openRepositories({ ...options, settings: [settings] })));
    } catch (error) {
      const isMistake = isEngineError(error, "config") || isEngineError(error, "usage");
      if (isMistake || !isEngineError(error) || options.signal.aborted) {
        await Promise.allSettled(repositories.map(async ({ store }) => store.close()));
        throw error;
      }
      const { name } = settings;
      const server = settings.server === undefined ? options.server : parseServerName(settings.server);
      const log = options.log.child({ server, repository: name });
      repositories.push({ name, server, store: unopenedStore(settings.url, error), log });
    }
  }
  return repositories;
}
