import { isSupportedMajor, supportedMajors } from "../../../postgres/majors.ts";
import type { Finding, Rule } from "../rule.ts";
import { textAt } from "../world.ts";

/** Images, which say which PostgreSQL it is. */

const imageVersion: Rule = {
  id: "image-version",
  severity: "error",
  summary: "an image whose tag does not say a PostgreSQL that can be run",
  explanation:
    'The version of PostgreSQL is read from the tag of `imageName`: `17`, `17.5`, `17.5-bookworm`. CloudNativePG refuses `latest` and an image by digest alone ("we can\'t detect upgrades"), and versions before 13. Here the major version picks the server that is installed.',
  *check(world) {
    for (const object of world.clusters) {
      const path = ["spec", "imageName"];
      const image = textAt(object, ...path);
      const problem = image === undefined || image === "" ? undefined : problemOf(image);
      if (problem !== undefined) yield { object, path, ...problem };
    }
  },
};

function problemOf(image: string): Pick<Finding, "message" | "hint" | "severity"> | undefined {
  const name = image.replace(/@.*$/, "");
  // A colon before the last slash is that of a registry's port.
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  const hint = `Write ${name.replace(/:[^/:]*$/, "")}:${supportedMajors.at(-1) ?? ""}, for example.`;
  if (tag === undefined)
    return { message: `"${image}" has no tag: nothing says which PostgreSQL it is`, hint };
  if (tag === "latest") return { message: `the tag latest does not say which PostgreSQL it is`, hint };
  const major = Number(/^(\d+)(?:\D|$)/.exec(tag)?.[1] ?? Number.NaN);
  if (Number.isNaN(major)) return { message: `the tag "${tag}" does not begin with a version`, hint };
  const oldest = supportedMajors[0] ?? 0;
  if (major < oldest) {
    return {
      message: `unsupported PostgreSQL version ${major}: versions ${oldest} or newer are supported`,
      hint,
    };
  }
  return isSupportedMajor(major)
    ? undefined
    : {
        severity: "warning",
        message: `PostgreSQL ${major} is not known here, so it cannot be run here`,
        hint,
      };
}

export const imageRules: readonly Rule[] = [imageVersion];
