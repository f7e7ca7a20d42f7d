/** Shell completion, written from the list of operations; names of apps are asked of the running forge. */
import { ForgeError } from '../errors.ts';
import { inputForm } from '../operations/input-form.ts';
import { operations } from '../operations/operations.ts';
import { offeredLocalCommands } from './local-command-list.ts';
import type { CommandContext } from './command-context.ts';

interface Command {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly string[];
  /** Whether its first word is an app. */
  readonly takesApp: boolean;
}

const shells: Readonly<Record<string, (commands: readonly Command[]) => string>> = { bash, zsh, fish };

export async function completion([shell = '']: readonly string[], { stdout }: CommandContext): Promise<number> {
  const script = shells[shell];
  if (!script) throw new ForgeError('invalid', `forge completion takes ${Object.keys(shells).join(', ')}`, { hint: 'source <(forge completion bash)' });
  stdout.write(script(commandsOf()));
  return 0;
}

function commandsOf(): readonly Command[] {
  const offered = operations.flatMap((operation): Command[] => {
    const { positionals, flags } = inputForm(operation);
    const takesApp = positionals[0]?.key === 'app' && operation.name !== 'apps:create';
    const command = { summary: operation.summary, takesApp, flags: [...flags.map(({ flag }) => flag), ...(takesApp ? ['--app'] : []), '--json', '--help'] };
    return [operation.name, ...(operation.aliases ?? [])].map((name) => ({ ...command, name }));
  });
  const known = new Set(offered.map(({ name }) => name));
  const local = offeredLocalCommands
    .filter(({ words }) => words.length === 1 && !known.has(words[0] ?? ''))
    .map(({ words, summary }) => ({ name: words[0] ?? '', summary, flags: ['--help'], takesApp: false }));
  return [...offered, ...local].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const appNames = 'command forge apps:list --quiet 2>/dev/null';

const caseRows = (commands: readonly Command[], row: (command: Command) => string): string => commands.map((command) => `    ${command.name}) ${row(command)} ;;`).join('\n');

const namesOfApps = (commands: readonly Command[]): string => commands.filter(({ takesApp }) => takesApp).map(({ name }) => name).join('|');

/** Bash breaks words at colons: the part before the last one is taken off each answer again. */
function bash(commands: readonly Command[]): string {
  return `# bash completion of forge: source <(forge completion bash)
_forge_flags() {
  case $1 in
${caseRows(commands, ({ flags }) => `echo '${flags.join(' ')}'`)}
  esac
}
_forge() {
  local line=\${COMP_LINE:0:COMP_POINT} words current previous answers=''
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[-1]}
  previous=\${words[-2]}
  if (( \${#words[@]} == 2 )); then
    answers='${commands.map(({ name }) => name).join(' ')}'
  elif [[ $previous == --app || $previous == -a ]]; then
    answers=$(${appNames})
  elif [[ $current == -* ]]; then
    answers=$(_forge_flags "\${words[1]}")
  elif (( \${#words[@]} == 3 )); then
    case \${words[1]} in
      ${namesOfApps(commands)}) answers=$(${appNames}) ;;
      completion) answers='bash zsh fish' ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$answers" -- "$current")
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${current%"\${current##*:}"}"}")
  fi
}
complete -o default -F _forge forge
`;
}

function zsh(commands: readonly Command[]): string {
  const described = commands.map(({ name, summary }) => `    '${name.replaceAll(':', '\\:')}:${summary.replaceAll("'", "'\\''")}'`).join('\n');
  return `#compdef forge
# zsh completion of forge: source <(forge completion zsh)
_forge() {
  local -a commands flags
  commands=(
${described}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  if [[ $words[CURRENT-1] == (--app|-a) ]]; then
    compadd -- \${(f)"$(${appNames})"}
    return
  fi
  if [[ $words[CURRENT] == -* ]]; then
    case $words[2] in
${caseRows(commands, ({ flags }) => `flags=(${flags.join(' ')})`)}
    esac
    compadd -- $flags
    return
  fi
  if (( CURRENT == 3 )); then
    case $words[2] in
      ${namesOfApps(commands)}) compadd -- \${(f)"$(${appNames})"} ;;
      completion) compadd bash zsh fish ;;
    esac
    return
  fi
  _files
}
compdef _forge forge
`;
}

function fish(commands: readonly Command[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const rows = commands.map(({ name, summary }) => `complete -c forge -f -n __fish_use_subcommand -a ${quoted(name)} -d ${quoted(summary)}`);
  const flags = commands.flatMap((command) =>
    command.flags.map((flag) => `complete -c forge -n '__fish_seen_subcommand_from ${command.name}' -l ${flag.slice(2)}`),
  );
  const apps = namesOfApps(commands).replaceAll('|', ' ');
  return `# fish completion of forge: forge completion fish | source
${rows.join('\n')}
${flags.join('\n')}
complete -c forge -f -n '__fish_seen_subcommand_from ${apps}; and test (count (commandline -opc)) -eq 2' -a '(${appNames})'
complete -c forge -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
`;
}
