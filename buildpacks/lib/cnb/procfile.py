"""Procfile as Heroku defines it, and how a line of it becomes argv."""
import re

from cnb.failure import BuildFailure

# Words that only a shell knows: `exec` may not stand before them.
SHELL_WORDS = {
    ".", ":", "!", "[", "[[", "alias", "case", "cd", "command", "eval", "exec", "exit", "export", "for", "if", "read", "set",
    "source", "test", "trap", "ulimit", "umask", "unset", "until", "wait", "while", "{",
}
MERGE_MARKER = re.compile(r"^(<{7}|={7}|>{7}|\|{7})")
LINE = re.compile(r"^([A-Za-z0-9_-]+)\s*:\s*(.*)$")


def read_procfile(path):
    """{type: line} in the file's order; {} without a file. Raises BuildFailure naming the line that is broken."""
    if not path.is_file():
        return {}
    processes = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        line = raw.strip()
        if line == "" or line.startswith("#"):
            continue
        match = LINE.match(line)
        if MERGE_MARKER.match(line):
            _refuse(number, "a merge conflict is not resolved")
        if not match:
            _refuse(number, 'expected "type: command", such as "web: node server.js"')
        kind, command = match.groups()
        if command == "":
            _refuse(number, f"the process type {kind} has no command")
        if kind in processes:
            _refuse(number, f"the process type {kind} is there twice")
        processes[kind] = command
    return processes


def _refuse(number, reason):
    raise BuildFailure(f"Procfile, line {number}: {reason}.")


def command_argv(line):
    """
    A line as argv. Words without anything to expand run as they are and take arguments at their end; everything else
    runs through bash, which a single command replaces, so that signals reach it.
    """
    words = _plain_words(line)
    if words and words[0] not in SHELL_WORDS and "=" not in words[0]:
        return words
    if _is_single_command(line):
        return ["bash", "-c", f'exec {line} "$@"', "bash"]
    return ["bash", "-c", line]


def _plain_words(line):
    words = []
    for word in re.split(r"""\s+(?=(?:[^'"]*(?:'[^']*'|"[^"]*"))*[^'"]*$)""", line.strip()):
        parts = list(re.finditer(r"""'([^']*)'|"([^"$`\\!]*)"|([\w./:,=@%+-]+)""", word))
        if not parts or "".join(part.group(0) for part in parts) != word:
            return None
        words.append("".join(next(group for group in part.groups() if group is not None) for part in parts))
    return words


def _is_single_command(line):
    unquoted = re.sub(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", "q", line.strip())
    without_expansions = re.sub(r"\$\{\w+[^}]*\}|&>|[0-9]*>&[0-9-]", "v", unquoted)
    if re.search(r"[;&|(){}\n`#]", without_expansions):
        return False
    first = unquoted.split()[0] if unquoted.split() else ""
    return first not in SHELL_WORDS and not re.match(r"^\w+=", first)
