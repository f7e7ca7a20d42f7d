"""One layer of a buildpack: its folder, its .toml, its environment and its software list."""
import json
import shutil
from pathlib import Path

from cnb.toml_text import read_toml, write_toml

ENV_FOLDERS = {"launch": "env.launch", "build": "env.build", "both": "env"}


class Layer:
    """
    What the lifecycle restored is in `metadata` and, for cached layers, in `path`. A launch layer that is not cached
    comes back as metadata alone: written again with the same metadata and no folder, its former contents are taken
    over into the new image without being read.
    """

    def __init__(self, directory, name):
        self.name = name
        self.path = Path(directory) / name
        self.toml_path = Path(directory) / f"{name}.toml"
        self.metadata = read_toml(self.toml_path).get("metadata", {})

    def matches(self, key):
        """Whether the former build made this layer from the same things."""
        return self.metadata.get("key") == key

    def has_contents(self):
        return self.path.is_dir()

    def reset(self):
        """Leaves an empty folder and no memory of the former build."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        self.metadata = {}
        return self.path

    def keep(self, *, launch=False, build=False, cache=False, **metadata):
        """Says what the layer is for. `key` says what it was made from; nothing in it may change from run to run."""
        self.metadata = metadata or self.metadata
        write_toml(self.toml_path, {"types": {"launch": launch, "build": build, "cache": cache}, "metadata": self.metadata})

    def drop(self):
        """Leaves the layer out of the image and out of the cache."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.toml_path.unlink(missing_ok=True)
        self.metadata = {}

    def set_env(self, name, value, *, when="launch", how="override", separator=None):
        """`how` is override, default, prepend or append."""
        folder = self.path / ENV_FOLDERS[when]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.{how}").write_text(value, encoding="utf-8")
        if separator is not None:
            (folder / f"{name}.delim").write_text(separator, encoding="utf-8")

    def write_sbom(self, document):
        self.toml_path.with_name(f"{self.name}.sbom.cdx.json").write_text(
            json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
