import { isEngineError } from "../../common/errors.ts";
import { majorOfImage } from "../../manifest/image-major.ts";
import { findServerBinaries, listServerBinaries } from "../../postgres/server-binaries.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Resolution } from "./store-resolution.ts";

/** Which PostgreSQL runs a cluster. */
export interface ChosenServer {
  readonly major: number;
  /** Undefined: the instance looks for the programs itself. */
  readonly binDirectory: string | undefined;
}

/**
 * By `imageName`; without one, by what its data are made from (`dataMajor`); else CloudNativePG's own default has a major too, and
 * here it is the newest there is.
 */
export async function chooseServer(
  { spec: { imageName } }: ClusterView,
  dataMajor: number | undefined,
): Promise<Resolution<ChosenServer>> {
  const wanted = imageName === undefined ? dataMajor : majorOfImage(imageName);
  if (imageName !== undefined && wanted === undefined) {
    return {
      kind: "missing",
      problems: [
        `imageName "${imageName}" does not say which PostgreSQL it is: write a tag that begins with the major version`,
      ],
    };
  }
  try {
    const [newest] = (await listServerBinaries()).toSorted((a, b) => b.major - a.major);
    const { major } =
      wanted === undefined && newest !== undefined ? newest : await findServerBinaries({ major: wanted });
    // The instance looks for the programs itself: an update of the machine's own server moves them.
    return { kind: "ok", value: { major, binDirectory: undefined } };
  } catch (error) {
    if (!isEngineError(error, "postgres-missing")) throw error;
    return {
      kind: "missing",
      problems: [`${error.message}${error.hint === undefined ? "" : `. ${error.hint}`}`],
    };
  }
}
