"""What only concerns Django."""
import os
import re


def collects_static_files(context):
    """Whether `manage.py collectstatic` belongs to the build: a STATIC_ROOT says where to."""
    if not (context.app / "manage.py").is_file() or context.env.get("DISABLE_COLLECTSTATIC", "0") not in ("", "0"):
        return False
    return any(re.search(r"^\s*STATIC_ROOT\s*[:=]", path.read_text(encoding="utf-8", errors="replace"), re.M)
               for path in find_settings(context.app))


def find_settings(app):
    """settings.py, settings/*.py and their kind, at most four folders deep."""
    for folder, folders, files in os.walk(app):
        depth = os.path.relpath(folder, app).count(os.sep)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules") if depth < 3 else []
        for name in sorted(files):
            if name.endswith(".py") and ("settings" in name or os.path.basename(folder) == "settings"):
                yield app / os.path.relpath(os.path.join(folder, name), app)
