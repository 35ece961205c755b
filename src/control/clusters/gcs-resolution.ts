import { parseGoogleCredentials } from "../../storage/gcs/gcs-credentials.ts";
import type { StoreConfiguration } from "./store-resolution.ts";

/** What a manifest says of getting at a bucket of Google's. */
export interface GcsResolution {
  /** The content of a credentials file, as Google gave it; undefined where the machine's own are to be taken. */
  readonly credentials: string | undefined;
  /** Each a sentence that names what is missing, or of no use. */
  readonly problems: readonly string[];
}

/** Looks up `googleCredentials`. `read` gives a Secret's value, and notes by itself when there is none. */
export function resolveGcs(
  name: string,
  { destinationPath, googleCredentials: google, s3Credentials, azureCredentials }: StoreConfiguration,
  read: (
    selector: { readonly name: string; readonly key: string } | undefined,
    what: string,
  ) => string | undefined,
): GcsResolution {
  const problem = (text: string): GcsResolution => ({ credentials: undefined, problems: [text] });
  const isGcs = destinationPath.startsWith("gs://");
  if (isGcs && (s3Credentials !== undefined || azureCredentials !== undefined)) {
    return problem(`store "${name}" is a bucket of Google's, and its credentials are googleCredentials`);
  }
  if (google === undefined) return { credentials: undefined, problems: [] };
  const { applicationCredentials, gkeEnvironment } = google;
  if (!isGcs) {
    return problem(`store "${name}" has googleCredentials, but "${destinationPath}" is no gs:// address`);
  }
  if (gkeEnvironment === true) {
    return applicationCredentials === undefined
      ? { credentials: undefined, problems: [] }
      : problem(`store "${name}": if gkeEnvironment is true, secret with credentials must not be provided`);
  }
  if (applicationCredentials === undefined) {
    return problem(`store "${name}": if gkeEnvironment is false, secret with credentials must be provided`);
  }
  const credentials = read(applicationCredentials, "the Google credentials");
  if (credentials === undefined) return { credentials, problems: [] };
  if (parseGoogleCredentials(credentials) !== undefined) return { credentials, problems: [] };
  return problem(
    `the Google credentials of store "${name}": Secret "${applicationCredentials.name}" has under "${applicationCredentials.key}" no JSON file that Google gives (a service account's key, or the configuration of a workload identity federation)`,
  );
}
