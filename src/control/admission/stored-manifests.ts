import { LineCounter, parseDocument } from "yaml";
import type { ManifestDocument, ManifestObject } from "../../manifest/manifest-object.ts";
import { toManifest, type Resource } from "../resources/resource.ts";

/** What the file of an object is called that was there already. */
export const storedFile = "(stored)";

/** It has no text: places in it are its first line. */
const noText: ManifestDocument = {
  path: storedFile,
  text: "",
  offset: 0,
  document: parseDocument(""),
  lines: new LineCounter(),
};

/** A stored object as rules look at manifests. */
export function manifestOf(resource: Resource): ManifestObject {
  const { apiVersion, kind, metadata } = resource;
  return {
    source: noText,
    root: [],
    apiVersion,
    kind,
    name: metadata.name,
    namespace: metadata.namespace === "" ? undefined : metadata.namespace,
    value: toManifest(resource),
  };
}
