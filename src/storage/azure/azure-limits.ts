import { mib } from "../../common/units.ts";

/** Of a block blob, as the service's documentation has them ("Scalability targets for Blob Storage"). */
export const maxBlockBytes = 4000 * mib;
export const maxBlocks = 50_000;
