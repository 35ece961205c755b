/**
 * Regular expressions as Go's package regexp reads them, as far as JavaScript's are the same: manifests of Kubernetes' tools
 * are written for the former. What the two read differently is refused instead of being understood in another way.
 */

/** Undefined for what is no such expression, or one that JavaScript would read differently. */
export function compileGoRegexp(source: string): RegExp | undefined {
  // Lookarounds and backreferences are JavaScript's alone. What is Go's alone (`[[:alpha:]]`, `\A`, `\z`) JavaScript
  // refuses by itself, being told to be strict by the flag `u`.
  if (/\(\?(?:[=!]|<[=!])/.test(source)) return undefined;
  let hasBackreference = false;
  const translated = source.replaceAll("(?P<", "(?<").replaceAll(/\\([^])/gu, (pair, char: string) => {
    hasBackreference ||= /[1-9k]/.test(char);
    // Go lets every punctuation mark be escaped, strict JavaScript only those that mean something.
    return /[!"#%&',:;<=>@_`~-]/.test(char) ? String.raw`\x${char.charCodeAt(0).toString(16)}` : pair;
  });
  if (hasBackreference) return undefined;
  const [, flags = "", rest = ""] = /^(?:\(\?([ims]+)\))?([^]*)$/.exec(translated) ?? [];
  try {
    return new RegExp(rest, `${flags}u`);
  } catch {
    return undefined;
  }
}

/**
 * `text` with every match replaced, as Go's ReplaceAllString does: `$1`, `${1}` and `${name}` stand for groups, `$$` for a
 * dollar sign; a name without braces is as long as it can be, so `$1x` means the group `1x`. Groups that are not there are
 * empty.
 */
export function replaceAllAsGo(text: string, expression: RegExp, target: string): string {
  const everywhere = new RegExp(expression.source, `${expression.flags}g`);
  let result = "";
  let end = 0;
  let isAfterMatch = false;
  for (const match of text.matchAll(everywhere)) {
    // Go does not count an empty match right behind another one.
    if (match[0] === "" && isAfterMatch && match.index === end) continue;
    result += text.slice(end, match.index) + expand(target, match);
    end = match.index + match[0].length;
    isAfterMatch = true;
  }
  return result + text.slice(end);
}

function expand(target: string, match: RegExpMatchArray): string {
  return target.replaceAll(
    /\$(?:\$|\{(\w+)\}|(\w+))/g,
    (whole: string, braced: string | undefined, bare: string | undefined) => {
      if (whole === "$$") return "$";
      const name = braced ?? bare ?? "";
      return (/^\d+$/.test(name) ? match[Number(name)] : match.groups?.[name]) ?? "";
    },
  );
}
