/**
 * Templates of an ExternalSecret's `target.template`, as far as they are used here: text with `{{ .key }}` in it. Everything
 * else that Go's text/template and its functions can do is refused, because half of a template is a wrong Secret.
 */
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  /** The value that was fetched under this name. */
  | { readonly kind: "value"; readonly key: string };

export type ParsedTemplate = { readonly parts: readonly TemplatePart[] } | { readonly error: string };

/** Takes a template apart; the error names what is not understood, without the text around it, which may be secret. */
export function parseSecretTemplate(template: string): ParsedTemplate {
  const parts: TemplatePart[] = [];
  let end = 0;
  while (end < template.length) {
    const open = template.indexOf("{{", end);
    const text = template.slice(end, open < 0 ? undefined : open);
    if (text !== "") parts.push({ kind: "text", text });
    if (open < 0) break;
    const close = template.indexOf("}}", open);
    if (close < 0) return { error: "a {{ is not closed" };
    const action = template.slice(open + 2, close);
    const key = /^\s*\.([\p{L}_][\p{L}\p{N}_]*)\s*$/u.exec(action)?.[1];
    if (key === undefined) return { error: `{{${action}}} is more than {{ .key }}` };
    parts.push({ kind: "value", key });
    end = close + 2;
  }
  return { parts };
}
