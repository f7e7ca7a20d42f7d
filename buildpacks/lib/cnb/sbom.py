"""CycloneDX 1.5 software lists without serial numbers or dates, so that the same software gives the same bytes."""


def sbom(components):
    """`components`: dicts from component(); listed once each, in the order of their package URLs."""
    unique = {item["purl"]: item for item in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": [unique[purl] for purl in sorted(unique)],
    }


def component(ecosystem, name, version, *, kind="library"):
    """`ecosystem` is the type of the package URL: npm, pypi, golang, deb, generic."""
    purl = f"pkg:{ecosystem}/{name.replace('@', '%40', 1) if name.startswith('@') else name}@{version}"
    return {"type": kind, "name": name, "version": version, "purl": purl, "bom-ref": purl}
