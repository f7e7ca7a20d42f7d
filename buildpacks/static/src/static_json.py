"""
static.json as Heroku's static buildpack defines it. Every value ends in nginx's configuration, so each is checked against
what can stand there and nothing else is let through.
"""
import json
import re
from typing import NamedTuple

from cnb.failure import BuildFailure

FOLDER = (re.compile(r"^(?!.*(^|/)\.\.(/|$))((\./|/)?\w[\w. ~/-]*|\.?/?)$"), "a folder of the app")
FILE = (re.compile(r"^(?!.*(^|/)\.\.(/|$))/?\w[\w.~/-]*$"), "a file of the site")
PATH = (re.compile(r"^/[\w.~/*@+-]*$"), "a path that begins with /, of letters, digits and . _ ~ - @ + / *")
HEADER_NAME = (re.compile(r"^[A-Za-z][A-Za-z0-9-]*$"), "the name of a header")
HEADER_VALUE = (re.compile(r"^[ !#%-\[\]-~]{0,4096}$"), 'printable ASCII with none of " \\ $')
URL = (re.compile(r"^(https?://[\w.:-]+)?/?[\w.~/%?&=#+@:,-]*$"), "a path or an http(s) URL")
STATUSES = (301, 302, 307, 308)
NOT_DONE = {
    "https_only": "is left out: forge redirects to HTTPS itself",
    "proxies": "is not supported by forge: requests to it get 404",
    "canonical_host": "is not supported by forge",
    "logging": "is left out: every request is logged",
    "encoding": "is left out: text is served as UTF-8",
}


class StaticSettings(NamedTuple):
    """`root` None: not said. `routes`: (path, file). `headers`: (path, name, value). `redirects`: (path, url, status)."""

    root: object = None
    clean_urls: bool = False
    routes: tuple = ()
    error_page: object = None
    headers: tuple = ()
    redirects: tuple = ()
    warnings: tuple = ()


def read_static_json(app):
    """Raises BuildFailure naming the place, what was expected and what was found."""
    path = app / "static.json"
    if not path.is_file():
        return StaticSettings()
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BuildFailure(f"static.json is not valid JSON: {error}.") from error
    if not isinstance(table, dict):
        raise BuildFailure("static.json: expected an object.")
    clean_urls = table.get("clean_urls", False)
    if not isinstance(clean_urls, bool):
        _refuse("clean_urls", "true or false", clean_urls)
    root = _text(table["root"], FOLDER, "root").removeprefix("./").strip("/") if "root" in table else None
    return StaticSettings(
        root="" if root == "." else root,
        clean_urls=clean_urls,
        routes=tuple((_text(key, PATH, "routes"), _text(value, FILE, f"routes → {key}").lstrip("/")) for key, value in _items(table, "routes")),
        error_page=_text(table["error_page"], FILE, "error_page").lstrip("/") if "error_page" in table else None,
        headers=tuple(_headers(table)),
        redirects=tuple(_redirects(table)),
        warnings=tuple(f"static.json: {key} {NOT_DONE.get(key, 'is not a key that forge knows')}" for key in table if key not in StaticSettings._fields),
    )


def _headers(table):
    for path, named in _items(table, "headers"):
        if not isinstance(named, dict):
            _refuse(f"headers → {path}", "an object of headers", named)
        for name, value in named.items():
            yield _text(path, PATH, "headers"), _text(name, HEADER_NAME, f"headers → {path}"), _text(value, HEADER_VALUE, f"headers → {path} → {name}")


def _redirects(table):
    for path, target in _items(table, "redirects"):
        status = target.get("status", 301) if isinstance(target, dict) else None
        if not isinstance(target, dict) or status not in STATUSES:
            _refuse(f"redirects → {path}", '{ "url": …, "status": 301, 302, 307 or 308 }', target)
        yield _text(path, PATH, "redirects"), _text(target.get("url"), URL, f"redirects → {path} → url"), status


def _items(table, key):
    value = table.get(key, {})
    if not isinstance(value, dict):
        _refuse(key, "an object", value)
    return value.items()


def _text(value, rule, place):
    pattern, expectation = rule
    if not isinstance(value, str) or not pattern.match(value) or "\n" in value:
        _refuse(place, expectation, value)
    return value


def _refuse(place, expectation, found):
    raise BuildFailure(f"static.json: {place}: expected {expectation}, found {json.dumps(found)[:80]}.")
