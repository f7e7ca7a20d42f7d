"""Which Python the app asks for, and where."""
import re
from dataclasses import dataclass

from cnb.failure import BuildFailure
from cnb.toml_text import read_toml

EXACT = re.compile(r"^(?:python-|cpython-|cpython@)?(3(?:\.\d+){0,2})$")
SPECIFIER = re.compile(r"^(===|==|!=|~=|>=|<=|>|<)\s*(\d+(?:\.\d+)*)(\.\*)?$")


@dataclass(frozen=True)
class WantedPython:
    """`text` as uv takes it; None when the app says nothing."""

    text: str | None
    where: str

    def fits(self, version):
        """Whether a version such as 3.11.2 is what the app asks for."""
        if self.text is None:
            return True
        if EXACT.match(self.text):
            return (version + ".").startswith(self.text + ".")
        return all(_fits_one(version, part.strip()) for part in self.text.split(",") if part.strip())

    def is_same_series(self, version):
        """Whether only the last number differs: 3.11.9 asked, 3.11.2 there."""
        return self.text is not None and bool(EXACT.match(self.text)) and self.text.split(".")[:2] == version.split(".")[:2]


def wanted_python(app):
    """From .python-version, runtime.txt or requires-python. Raises BuildFailure for what is no version."""
    for name in (".python-version", "runtime.txt"):
        path = app / name
        lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8-sig").splitlines()] if path.is_file() else []
        asked = next((line for line in lines if line), None)
        if asked:
            match = EXACT.match(asked)
            if not match:
                raise BuildFailure(f'{name} asks for Python "{asked}", which this buildpack does not know.', 'Write a version, such as "3.11".')
            return WantedPython(match[1], name)
    required = read_project(app).get("project", {}).get("requires-python")
    if not required:
        return WantedPython(None, "the builder's own, as neither .python-version nor requires-python says one")
    for part in required.split(","):
        if part.strip() and not SPECIFIER.match(part.strip()):
            raise BuildFailure(f'pyproject.toml: requires-python "{required}" is no version specifier.', 'Write for example ">=3.11".')
    return WantedPython(required, "requires-python in pyproject.toml")


def read_project(app):
    """pyproject.toml, or {}. Raises BuildFailure for one that is broken."""
    try:
        return read_toml(app / "pyproject.toml")
    except ValueError as error:
        raise BuildFailure(f"pyproject.toml is not valid TOML: {error}.", "Correct it, commit and push again.") from error


def _fits_one(version, specifier):
    operator, text, wildcard = SPECIFIER.match(specifier).groups()
    mine, asked = _numbers(version), _numbers(text)
    if wildcard or operator == "~=":
        prefix = asked if wildcard else asked[:-1]
        is_series = mine[:len(prefix)] == prefix
        return is_series and mine >= asked if operator == "~=" else is_series == (operator != "!=")
    padded = asked + [0] * (3 - len(asked))
    return {"==": mine == padded, "===": mine == padded, "!=": mine != padded, ">=": mine >= padded, "<=": mine <= padded,
            ">": mine > padded, "<": mine < padded}[operator]


def _numbers(text):
    return [int(part) for part in text.split(".")]
