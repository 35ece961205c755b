import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Debian's package of each program that these tests run. */
const packages: Readonly<Record<string, string>> = {
  "barman-cloud-backup": "barman-cli-cloud",
  "ceph-mon": "ceph-mon",
  "ceph-osd": "ceph-osd",
  radosgw: "radosgw",
  ceph: "ceph-common",
  setpriv: "util-linux",
  openssl: "openssl",
};

/** What the Ceph gateway needs. */
export const cephPrograms = ["ceph-mon", "ceph-osd", "radosgw", "ceph", "openssl", "setpriv"];

/** What tests of Barman against the Ceph gateway need. */
export const barmanOnCeph = ["barman-cloud-backup", ...cephPrograms];

/**
 * Why tests that need these programs cannot run here, for `describe.skipIf` and its title; undefined when they can. In
 * continuous integration nothing may be left out silently, so there it throws.
 */
export async function reasonToSkip(programs: readonly string[]): Promise<string | undefined> {
  const found = await Promise.all(programs.map(isInstalled));
  const missing = programs.filter((_program, index) => found[index] === false);
  const isRoot = process.getuid?.() === 0;
  const needsRoot = programs.includes("radosgw") && !isRoot;
  if (missing.length === 0 && !needsRoot) return undefined;
  const install = missing.map((program) => packages[program] ?? program).join(" ");
  const reason =
    missing.length === 0
      ? "the Ceph gateway needs root"
      : `${missing.join(", ")} missing: apt-get install -y ${install}`;
  if (process.env["CI"] === "true") throw new Error(reason);
  return reason;
}

/** For the end of a suite's title: why it is left out, if it is. */
export function leftOut(reason: string | undefined): string {
  return reason === undefined ? "" : ` (left out: ${reason})`;
}

async function isInstalled(program: string): Promise<boolean> {
  const places = (process.env["PATH"] ?? "").split(delimiter);
  const tries = places.map(async (place) => access(join(place, program), constants.X_OK));
  return Promise.any(tries).then(
    () => true,
    () => false,
  );
}
