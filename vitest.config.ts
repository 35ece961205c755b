import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { SummaryReporter } from "./test/summary-reporter.ts";

/**
 * Tests say what they need by their name: `.test.ts` runs anywhere, `.pg.test.ts` starts real PostgreSQL servers,
 * `.peer.test.ts` needs the Debian packages of a peer (Barman, the Ceph gateway), which `test/install-peers.sh` installs.
 *
 * Projects run one after the other, so that servers and peers have the machine to themselves; vitest also asks for an
 * order where the numbers of workers differ, and the default number is the machine's.
 */
export default defineConfig({
  test: {
    env: { NODE_COMPILE_CACHE: compileCache() },
    reporters: ["default", new SummaryReporter()],
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["**/*.pg.test.ts", "**/*.peer.test.ts"],
          testTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "pg",
          include: ["src/**/*.pg.test.ts", "test/**/*.pg.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "peer",
          include: ["src/**/*.peer.test.ts", "test/**/*.peer.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          globalSetup: "test/ceph/global-setup.ts",
          // Barman's tools mostly wait.
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});

/**
 * The tests run `tidemark` from its source more than a thousand times: Node keeps what it made of it, which halves each start.
 * Servers' users write there as well; Node gives each a folder of its own.
 */
function compileCache(): string {
  const directory = join(import.meta.dirname, "node_modules/.cache/compiled");
  mkdirSync(directory, { recursive: true });
  try {
    chmodSync(directory, 0o1777);
  } catch {
    // Another user's, who ran the tests before: Node does without what it cannot write.
  }
  return directory;
}
