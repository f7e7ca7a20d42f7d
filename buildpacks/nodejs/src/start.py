"""What the web process runs."""
import re

from cnb.failure import BuildFailure
from cnb.procfile import command_argv, read_procfile

PROGRAMS = ("server.js", "server.mjs", "app.js", "index.js", "main.js", "index.mjs")


def find_processes(manifest):
    """{type: argv} beside the Procfile, whose web process wins. Raises BuildFailure when nothing would run."""
    procfile = read_procfile(manifest.app / "Procfile")
    if "web" in procfile:
        return {}
    start = manifest.scripts.get("start", "").strip()
    if start:
        return {"web": _start_argv(start, manifest)}
    program = next((name for name in (manifest.main, *PROGRAMS) if name and (manifest.app / name).is_file()), None)
    if program:
        return {"web": ["node", program]}
    if procfile:
        return {}
    raise BuildFailure("Nothing says how this app starts.",
                       f"Looked for: a Procfile, a start script and main in package.json, {', '.join(PROGRAMS)}.",
                       'Add for example "scripts": { "start": "node server.js" } to package.json, commit and push again.')


def _start_argv(start, manifest):
    """
    The script itself where that is the same as `npm start`: npm would stay beside the app for its whole life (60 MB),
    and start later.
    """
    around = any(manifest.scripts.get(name) for name in ("prestart", "poststart"))
    is_plain = re.match(r"^[\w./:,=@%+ -]+$", start) and not re.match(r"^(npm|yarn|pnpm|npx)\b", start)
    if around or not is_plain or "npm_" in start or start.split()[0] in ("cd", "exec", "export"):
        return ["npm", "start"]
    argv = command_argv(start)
    return argv if argv[0] != "bash" else ["npm", "start"]
