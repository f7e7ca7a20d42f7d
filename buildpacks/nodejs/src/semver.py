"""Version ranges as npm writes them. https://github.com/npm/node-semver#ranges"""
import re

PART = r"(?:[xX*]|\d+)"
PARTIAL = re.compile(rf"^[v=\s]*({PART})?(?:\.({PART}))?(?:\.({PART}))?(-[0-9A-Za-z.-]+)?(?:\+\S*)?$")
COMPARATOR = re.compile(r"^(>=|<=|>|<|=|~>|~|\^)?(.*)$")
OPERATOR_SPACE = re.compile(r"(>=|<=|>|<|=|~>|~|\^)\s+")
MAXIMUM = (1 << 60, 0, 0)


class BrokenRange(ValueError):
    """The text is no version range."""


def newest(versions, text):
    """The newest of `versions` (strings, releases only) in the range, or None. Raises BrokenRange."""
    alternatives = parse_range(text)
    fitting = [version for version in map(parse_version, versions) if version and _fits(version, alternatives)]
    return ".".join(map(str, max(fitting))) if fitting else None


def satisfies(version, text):
    """Whether one released version is in the range. Raises BrokenRange."""
    return newest([version], text) is not None


def parse_version(text):
    """(major, minor, patch), or None for anything but a released version."""
    match = re.match(r"^v?(\d+)\.(\d+)\.(\d+)$", text)
    return tuple(map(int, match.groups())) if match else None


def parse_range(text):
    """[(lowest, end), …]: the range is every version from `lowest` on and before `end` in one of them."""
    return [_parse_set(part.strip()) for part in text.split("||")]


def _fits(version, alternatives):
    return any(low <= version < end for low, end in alternatives)


def _parse_set(text):
    hyphen = re.match(r"^(\S+)\s+-\s+(\S+)$", text)
    if hyphen:
        return _bounds(">=", hyphen[1])[0], _bounds("<=", hyphen[2])[1]
    low, end = (0, 0, 0), MAXIMUM
    for token in OPERATOR_SPACE.sub(r"\1", text).replace(",", " ").split():
        operator, partial = COMPARATOR.match(token).groups()
        a_low, an_end = _bounds(operator or "=", partial)
        low, end = max(low, a_low), min(end, an_end)
    return low, end


def _bounds(operator, partial):
    match = PARTIAL.match(partial)
    if not match:
        raise BrokenRange(partial)
    numbers = []
    for group in match.groups()[:3]:
        if group is None or group in "xX*":
            break
        numbers.append(int(group))
    low = tuple(numbers + [0] * (3 - len(numbers)))
    after = _next(numbers, len(numbers) - 1)
    if operator == ">=":
        return low, MAXIMUM
    if operator == ">":
        return after, MAXIMUM
    if operator == "<":
        return (0, 0, 0), low if numbers else (0, 0, 0)
    if operator == "<=":
        return (0, 0, 0), after
    if operator in ("~", "~>"):
        return low, _next(numbers, min(1, len(numbers) - 1))
    if operator == "^":
        return low, _next(numbers, _caret_place(numbers))
    return low, after


def _caret_place(numbers):
    """The first part that is not 0 stays; `^0.0` and `^0` keep what they name."""
    return next((place for place, number in enumerate(numbers) if number > 0), len(numbers) - 1)


def _next(numbers, place):
    """The first version after all those that share the parts up to `place`."""
    if not numbers:
        return MAXIMUM
    return tuple([*numbers[:place], numbers[place] + 1] + [0] * (2 - place))
