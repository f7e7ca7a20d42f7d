"""What the web process runs."""
import re

from cnb.failure import BuildFailure
from cnb.procfile import read_procfile
from cnb.say import say

MODULES = ("app", "main", "wsgi", "asgi", "server", "application", "api", "src/main", "src/app", "app/main", "app/app", "app/__init__")
SCRIPTS = ("main.py", "app.py", "server.py")
FRAMEWORKS = {"flask": "Flask", "fastapi": "FastAPI", "starlette": "Starlette", "quart": "Quart", "falcon": "falcon.App", "bottle": "Bottle"}
ASYNCHRONOUS = {"fastapi", "starlette", "quart"}


def find_processes(app, packages):
    """{type: argv} beside the Procfile, whose web process wins. Raises BuildFailure when nothing would run."""
    procfile = read_procfile(app / "Procfile")
    if "web" in procfile:
        return {}
    argv = _django(app, packages) or _framework(app, packages) or _script(app)
    if argv:
        say(f"Starting web with: {_describe(argv)}")
        return {"web": argv}
    if procfile:
        return {}
    raise BuildFailure("Nothing says how this app starts.",
                       f"Looked for: a Procfile, Django's manage.py, an app of {', '.join(FRAMEWORKS)}, {', '.join(SCRIPTS)}.",
                       "Add a Procfile with a line such as: web: gunicorn --bind 0.0.0.0:$PORT app:app")


def _django(app, packages):
    if "django" not in packages or not (app / "manage.py").is_file():
        return None
    for kind, is_async in (("wsgi", False), ("asgi", True)):
        found = sorted(app.glob(f"*/{kind}.py"))
        if found and (not is_async or "uvicorn" in packages):
            return _serve(f"{found[0].parent.name}.{kind}:application", is_async, packages, "Django")
    return None


def _framework(app, packages):
    for name, constructor in FRAMEWORKS.items():
        if name not in packages or name == "starlette" and "fastapi" in packages:
            continue
        for module in MODULES:
            path = app / f"{module}.py"
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            match = re.search(rf"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?{re.escape(constructor)}\(", text, re.M)
            target = match[1] if match else "create_app()" if name == "flask" and re.search(r"^def create_app\(", text, re.M) else None
            if target:
                dotted = module.replace("/__init__", "").replace("/", ".")
                return _serve(f"{dotted}:{target}", name in ASYNCHRONOUS, packages, constructor)
    return None


def _serve(target, is_async, packages, framework):
    if is_async and "uvicorn" in packages:
        return _shell(f"uvicorn --host 0.0.0.0 --port ${{PORT:-5000}} {target}")
    if not is_async and "gunicorn" in packages:
        return _shell(f"gunicorn --bind 0.0.0.0:${{PORT:-5000}} '{target}'" if "(" in target else f"gunicorn --bind 0.0.0.0:${{PORT:-5000}} {target}")
    server = "uvicorn" if is_async else "gunicorn"
    raise BuildFailure(f"This is a {framework} app ({target}), and {server}, which would serve it, is not among its dependencies.",
                       f"Add {server} to them, or a Procfile with a web line, commit and push again.")


def _script(app):
    program = next((name for name in SCRIPTS if (app / name).is_file()), None)
    return ["python", program] if program else None


def _describe(argv):
    return argv[2].removeprefix("exec ").removesuffix(' "$@"') if argv[0] == "bash" else " ".join(argv)


def _shell(line):
    # bash expands PORT and is then replaced by the server, so that signals reach it.
    return ["bash", "-c", f'exec {line} "$@"', "bash"]
