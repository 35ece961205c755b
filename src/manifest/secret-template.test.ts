import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSecretTemplate } from "./secret-template.ts";

test("text and values take turns", () => {
  expect(parseSecretTemplate("postgres://{{ .user }}:{{.password}}@db")).toEqual({
    parts: [
      { kind: "text", text: "postgres://" },
      { kind: "value", key: "user" },
      { kind: "text", text: ":" },
      { kind: "value", key: "password" },
      { kind: "text", text: "@db" },
    ],
  });
});

test.each([
  ["{{ .user | b64enc }}", "{{ .user | b64enc }} is more than {{ .key }}"],
  ['secret{{ index . "my-key" }}', '{{ index . "my-key" }} is more than {{ .key }}'],
  ["{{- .user -}}", "{{- .user -}} is more than {{ .key }}"],
  ["{{ .a.b }}", "{{ .a.b }} is more than {{ .key }}"],
  ["{{ range . }}{{ end }}", "{{ range . }} is more than {{ .key }}"],
  ["secret {{ .user", "a {{ is not closed"],
])("%s is refused, by what is not understood", (template, error) => {
  expect(parseSecretTemplate(template)).toEqual({ error });
});

test("text without braces is itself", () => {
  fc.assert(
    fc.property(
      fc.string().filter((text) => !text.includes("{{")),
      (text) => {
        expect(parseSecretTemplate(text)).toEqual({ parts: text === "" ? [] : [{ kind: "text", text }] });
      },
    ),
  );
});
