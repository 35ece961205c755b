/** The major version that an image's tag begins with: `…/postgresql:17.5-minimal-bookworm`; undefined when it does not say. */
export function majorOfImage(imageName: string): number | undefined {
  const [withoutDigest = ""] = imageName.split("@");
  const tag = /:([^:/]+)$/.exec(withoutDigest)?.[1];
  const major = /^(\d+)/.exec(tag ?? "")?.[1];
  return major === undefined ? undefined : Number(major);
}
