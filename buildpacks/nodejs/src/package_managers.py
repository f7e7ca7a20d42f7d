"""How each package manager installs by its lockfile, and how it leaves out what only development needs."""
import re
from dataclasses import dataclass, field

from cnb.failure import BuildFailure

# The npm that Node.js of a major brings; later ones bring at least the last.
NPM_OF_NODE = {"18": "10", "20": "10", "22": "10"}
NPM_DEFAULT = "11"
def npm_range(node_version):
    """The npm that comes with a version of Node.js."""
    return NPM_OF_NODE.get(node_version.split(".")[0], NPM_DEFAULT)


YARN_CLASSIC = "1"
YARN_BERRY = "4"
# pnpm reads lockfiles of its own time only.
PNPM_OF_LOCKFILE = {"5": "7", "6": "8", "9": "10"}


@dataclass(frozen=True)
class PackageManager:
    """`install[production]` and `prune` are arguments for the tool; `package` and `asked` say which tool."""

    name: str
    package: str
    asked: str
    lockfile: str
    install: dict
    prune: list
    env: dict = field(default_factory=dict)
    cache_variable: str = ""


def choose_package_manager(manifest):
    """By packageManager, else by the lockfile, else npm. Raises BuildFailure when they contradict each other."""
    lockfiles = [name for name in LOCKFILES if (manifest.app / name).is_file()]
    declared = re.match(r"^(npm|yarn|pnpm)@(\d+\.\d+\.\d+[^+]*)", manifest.package_manager)
    names = sorted({LOCKFILES[name] for name in lockfiles})
    if "bun" in names and len(names) == 1:
        raise BuildFailure("bun.lock is there, and this buildpack knows npm, yarn and pnpm.",
                           "Commit the lockfile of one of these (npm install), or use a Dockerfile.")
    if not declared and len(names) > 1:
        raise BuildFailure(f"The lockfiles of several package managers are there: {', '.join(lockfiles)}.",
                           'Delete those that are not yours, or name yours in package.json, such as "packageManager": "pnpm@10.0.0".')
    name = declared[1] if declared else names[0] if names else "npm"
    return MAKERS[name](manifest, declared[2] if declared else None)


def _npm(manifest, version):
    lockfile = next((name for name in ("npm-shrinkwrap.json", "package-lock.json") if (manifest.app / name).is_file()), "")
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    verb = "ci" if lockfile else "install"
    return PackageManager(
        name="npm", package="npm", asked=version or manifest.engines.get("npm", ""), lockfile=lockfile,
        install={True: [verb, *quiet, "--omit=dev"], False: [verb, *quiet, "--include=dev"]},
        prune=["prune", *quiet, "--omit=dev", "--ignore-scripts"],
        cache_variable="npm_config_cache",
    )


def _yarn(manifest, version):
    is_classic = version.startswith("1.") if version else _is_classic_lockfile(manifest.app / "yarn.lock")
    if is_classic:
        base = ["install", "--frozen-lockfile", "--non-interactive", "--no-progress"]
        return PackageManager(
            name="yarn", package="yarn", asked=version or YARN_CLASSIC, lockfile="yarn.lock",
            install={True: [*base, "--production=true"], False: [*base, "--production=false"]},
            prune=[*base, "--production=true", "--ignore-scripts", "--prefer-offline"],
            cache_variable="YARN_CACHE_FOLDER",
        )
    focus = ["workspaces", "focus", "--all", "--production"]
    return PackageManager(
        name="yarn", package="@yarnpkg/cli-dist", asked=version or YARN_BERRY, lockfile="yarn.lock",
        install={True: focus, False: ["install", "--immutable"]},
        prune=focus,
        # Without node_modules (Plug'n'Play) the program would need yarn's loader wherever it starts.
        env={"YARN_NODE_LINKER": "node-modules", "YARN_ENABLE_TELEMETRY": "0", "YARN_ENABLE_GLOBAL_CACHE": "false",
             "YARN_COMPRESSION_LEVEL": "0", "YARN_ENABLE_PROGRESS_BARS": "false"},
        cache_variable="YARN_CACHE_FOLDER",
    )


def _pnpm(manifest, version):
    path = manifest.app / "pnpm-lock.yaml"
    match = re.search(r"^lockfileVersion:\s*['\"]?(\d+)", path.read_text(encoding="utf-8"), re.M) if path.is_file() else None
    base = ["install", "--frozen-lockfile" if path.is_file() else "--no-frozen-lockfile", "--reporter=append-only"]
    return PackageManager(
        name="pnpm", package="pnpm", asked=version or PNPM_OF_LOCKFILE.get(match[1] if match else "9", "10"),
        lockfile="pnpm-lock.yaml" if path.is_file() else "",
        install={True: [*base, "--prod"], False: [*base, "--prod=false"]},
        prune=["prune", "--prod", "--ignore-scripts"],
        env={"CI": "true", "npm_config_manage_package_manager_versions": "false", "COREPACK_ENABLE_STRICT": "0"},
        cache_variable="npm_config_store_dir",
    )


def _is_classic_lockfile(path):
    return not path.is_file() or "# yarn lockfile v1" in path.read_text(encoding="utf-8")[:400]


LOCKFILES = {"package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm",
             "bun.lock": "bun", "bun.lockb": "bun"}
MAKERS = {"npm": _npm, "yarn": _yarn, "pnpm": _pnpm}
