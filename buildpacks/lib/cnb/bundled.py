"""Tools that the builder image brings, so that builds need not download them: <root>/<tool>/<version>/."""
import os
from pathlib import Path

ROOT = Path("/opt/forge/tools")


def bundled(tool):
    """{version: folder} of what the builder has of a tool."""
    root = Path(os.environ.get("FORGE_TOOLS", ROOT)) / tool
    return {path.name: path for path in sorted(root.iterdir())} if root.is_dir() else {}
