import json
import tempfile
import unittest
from pathlib import Path

from cnb.failure import BuildFailure
from manifest import Manifest
from package_managers import choose_package_manager
from semver import BrokenRange, newest
from software import READERS
from start import find_processes
from versions import requested_node

VERSIONS = ["18.20.1", "20.0.0", "20.11.5", "22.23.3", "24.4.1", "24.21.0", "26.10.0", "0.2.5", "0.0.3", "27.0.0-rc.1"]


class AppTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.app = Path(folder.name)

    def manifest(self, table=None, **files):
        (self.app / "package.json").write_text(json.dumps(table or {}))
        for name, text in files.items():
            (self.app / name.replace("__", "/")).write_text(text)
        return Manifest(self.app)

    def write(self, name, text=""):
        (self.app / name).write_text(text)


class Ranges(unittest.TestCase):
    def test_the_newest_version_in_a_range_is_found(self):
        for text, expected in (("24", "24.21.0"), ("^24.1", "24.21.0"), ("~24.4", "24.4.1"), (">=18 <21", "20.11.5"), ("18 || 20", "20.11.5"),
                               ("20.x", "20.11.5"), ("18 - 20", "20.11.5"), ("*", "26.10.0"), (">= 20.1", "26.10.0"), ("^0.2.1", "0.2.5"),
                               ("^0.0.3", "0.0.3"), ("<=20", "20.11.5"), ("v20.0.0", "20.0.0"), ("99", None), (">26", None)):
            self.assertEqual(newest(VERSIONS, text), expected, text)

    def test_words_are_no_range(self):
        with self.assertRaises(BrokenRange):
            newest(VERSIONS, "banana")


class NodeVersion(AppTest):
    def test_engines_wins_over_version_files(self):
        self.write(".nvmrc", "18")
        self.assertEqual(requested_node(self.manifest({"engines": {"node": ">=22"}})), (">=22", "engines.node in package.json"))

    def test_nvmrc_takes_comments_and_names_of_long_term_releases(self):
        self.write(".nvmrc", "# ours\nlts/jod # LTS\n")
        self.assertEqual(requested_node(self.manifest()), ("22", ".nvmrc"))

    def test_without_a_word_it_is_the_default(self):
        self.assertEqual(requested_node(self.manifest())[0], "24")

    def test_nonsense_is_refused_with_its_place(self):
        with self.assertRaisesRegex(BuildFailure, 'engines.node in package.json asks for Node.js "newest"'):
            requested_node(self.manifest({"engines": {"node": "newest"}}))


class PackageManagers(AppTest):
    def choose(self, table=None):
        return choose_package_manager(self.manifest(table))

    def test_the_lockfile_decides(self):
        for lockfile, text, expected in (("package-lock.json", "{}", ("npm", "")), ("yarn.lock", "# yarn lockfile v1\n", ("yarn", "1")),
                                         ("pnpm-lock.yaml", "lockfileVersion: '6.0'\n", ("pnpm", "8"))):
            self.write(lockfile, text)
            manager = self.choose()
            self.assertEqual((manager.name, manager.asked), expected)
            (self.app / lockfile).unlink()

    def test_a_newer_yarn_is_another_package_and_makes_node_modules(self):
        self.write("yarn.lock", "__metadata:\n  version: 8\n")
        manager = self.choose({"packageManager": "yarn@4.9.2+sha512.abc"})
        self.assertEqual((manager.package, manager.asked, manager.env["YARN_NODE_LINKER"]), ("@yarnpkg/cli-dist", "4.9.2", "node-modules"))

    def test_two_lockfiles_need_a_word(self):
        self.write("yarn.lock", "# yarn lockfile v1\n")
        self.write("package-lock.json", "{}")
        with self.assertRaisesRegex(BuildFailure, "package-lock.json, yarn.lock"):
            self.choose()
        self.assertEqual(self.choose({"packageManager": "npm@11.0.0"}).name, "npm")

    def test_bun_is_named_as_unsupported(self):
        self.write("bun.lock")
        with self.assertRaisesRegex(BuildFailure, "bun.lock is there"):
            self.choose()

    def test_without_a_lockfile_npm_installs_rather_than_ci(self):
        self.assertEqual(self.choose().install[True][0], "install")


class Scripts(AppTest):
    def test_git_hooks_do_not_count_as_install_scripts(self):
        self.assertFalse(self.manifest({"scripts": {"prepare": "husky"}}).has_install_scripts())
        self.assertFalse(self.manifest({"scripts": {"prepare": "husky install || true"}}).has_install_scripts())
        self.assertTrue(self.manifest({"scripts": {"postinstall": "prisma generate"}}).has_install_scripts())

    def test_install_scripts_of_workspaces_count(self):
        (self.app / "packages" / "a").mkdir(parents=True)
        self.write("packages/a/package.json", '{"scripts": {"prepare": "tsc"}}')
        self.assertTrue(self.manifest({"workspaces": ["packages/*"]}).has_install_scripts())

    def test_broken_json_is_refused(self):
        self.write("package.json", "{ no")
        with self.assertRaisesRegex(BuildFailure, "package.json is not valid JSON"):
            Manifest(self.app)


class Start(AppTest):
    def web(self, table=None):
        return find_processes(self.manifest(table)).get("web")

    def test_a_plain_start_script_runs_without_npm(self):
        self.assertEqual(self.web({"scripts": {"start": "node --enable-source-maps dist/main.js"}}), ["node", "--enable-source-maps", "dist/main.js"])

    def test_what_needs_a_shell_or_scripts_around_it_runs_through_npm(self):
        for scripts in ({"start": "a && b"}, {"start": "node a", "prestart": "b"}, {"start": "node a --v=$npm_package_version"}, {"start": "npm run serve"}):
            self.assertEqual(self.web({"scripts": scripts}), ["npm", "start"])

    def test_without_a_script_the_usual_files_are_found(self):
        self.write("index.js")
        self.assertEqual(self.web(), ["node", "index.js"])
        self.write("server.js")
        self.assertEqual(self.web(), ["node", "server.js"])
        self.write("boot.js")
        self.assertEqual(self.web({"main": "boot.js"}), ["node", "boot.js"])

    def test_the_procfile_wins_and_a_worker_needs_no_web(self):
        self.write("Procfile", "worker: node w.js")
        self.assertEqual(find_processes(self.manifest()), {})

    def test_nothing_to_start_is_an_error_that_says_where_it_looked(self):
        with self.assertRaises(BuildFailure) as caught:
            self.web()
        self.assertIn("server.js, server.mjs", " ".join(caught.exception.lines))


class Software(unittest.TestCase):
    def test_npm_lists_what_production_needs(self):
        text = json.dumps({"packages": {"": {}, "node_modules/a": {"version": "1.0.0"}, "node_modules/a/node_modules/@x/b": {"version": "2.0.0"},
                                        "node_modules/d": {"version": "3.0.0", "dev": True}, "packages/own": {"version": "0"}}})
        self.assertEqual(list(READERS["npm"](text)), [("a", "1.0.0"), ("@x/b", "2.0.0")])

    def test_both_kinds_of_yarn_lockfiles_are_read(self):
        classic = '# yarn lockfile v1\n\n\n"@x/a@^1.0.0":\n  version "1.2.3"\n\nms@2.1.3, ms@^2.0.0:\n  version "2.1.3"\n'
        berry = '__metadata:\n  version: 8\n\n"ms@npm:2.1.3":\n  version: 2.1.3\n\n"own@workspace:.":\n  version: 0.0.0-use.local\n'
        self.assertEqual(READERS["yarn"](classic), [("@x/a", "1.2.3"), ("ms", "2.1.3")])
        self.assertEqual(READERS["yarn"](berry), [("ms", "2.1.3")])

    def test_pnpm_lockfiles_are_read(self):
        text = "lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n\npackages:\n\n  '@x/a@1.0.0':\n    resolution: {}\n\n  ms@2.1.3:\n    resolution: {}\n\nsnapshots:\n\n  ms@2.1.3: {}\n"
        self.assertEqual(READERS["pnpm"](text), [("@x/a", "1.0.0"), ("ms", "2.1.3")])
