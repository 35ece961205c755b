import type { Command } from "commander";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** A command's words after `tidemark` (empty for the program itself), and what may follow them. */
interface Node {
  readonly words: readonly string[];
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly { readonly name: string; readonly description: string }[];
}

/** A script that teaches a shell the commands and flags of this version, for `tidemark completion`. */
export function completionScript(program: Command, shell: Shell): string {
  const nodes = nodesOf(program, []);
  switch (shell) {
    case "bash":
      return bashScript(nodes);
    case "zsh":
      // zsh runs bash's kind of completion itself.
      return `#compdef tidemark\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(nodes)}`;
    case "fish":
      return fishScript(nodes);
  }
}

function nodesOf(command: Command, words: readonly string[]): readonly Node[] {
  const visible = command.createHelp().visibleCommands(command);
  const commands = visible.map((child) => ({
    name: child.name(),
    description: child.summary() || child.description(),
  }));
  const flags = command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description }) => (long === undefined ? [] : [{ name: long ?? "", description }]));
  const below = visible
    .filter((child) => child.name() !== "help")
    .flatMap((child) => nodesOf(child, [...words, child.name()]));
  return [{ words, commands, flags }, ...below];
}

/** Files where nothing else fits: most arguments are names of files or of objects. */
function bashScript(nodes: readonly Node[]): string {
  const cases = nodes
    .filter(({ words }) => words.length > 0)
    .map((node) => `    "${node.words.join(" ")}") words="${candidates(node)}" ;;`);
  const root = nodes.find(({ words }) => words.length === 0);
  return `_tidemark() {
  local current=\${COMP_WORDS[COMP_CWORD]} path="" word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  while [ -n "$path" ]; do
    case "$path" in
${nodes.flatMap(({ words }) => (words.length === 0 ? [] : [`      "${words.join(" ")}") break ;;`])).join("\n")}
    esac
    case "$path" in *" "*) path=\${path% *} ;; *) path="" ;; esac
  done
  words="${root === undefined ? "" : candidates(root)}"
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _tidemark tidemark
`;
}

function candidates({ commands, flags }: Node): string {
  return [...commands, ...flags].map(({ name }) => name).join(" ");
}

function fishScript(nodes: readonly Node[]): string {
  const lines = nodes.flatMap((node) => {
    const condition = node.words.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    const names = node.commands.map(({ name }) => name).join(" ");
    const isHere =
      names === ""
        ? condition
        : `${condition === "" ? "" : `${condition}; and `}not __fish_seen_subcommand_from ${names}`;
    const when = isHere === "" ? "" : ` -n ${quoted(isHere)}`;
    return [
      ...node.commands.map(
        ({ name, description }) => `complete -c tidemark${when} -a ${name} -d ${quoted(description)}`,
      ),
      ...node.flags.map(
        ({ name, description }) =>
          `complete -c tidemark${when} -l ${name.slice(2)} -d ${quoted(description)}`,
      ),
    ];
  });
  return `${lines.join("\n")}\n`;
}

function quoted(text: string): string {
  const line = text.split("\n")[0] ?? "";
  return `'${line.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
