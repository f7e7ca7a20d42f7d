import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from cnb.archive import pack, unpack, unpack_tar
from cnb.digest import digest, digest_tree
from cnb.failure import BuildFailure
from cnb.layer import Layer
from cnb.procfile import command_argv, read_procfile
from cnb.sbom import component, sbom
from cnb.toml_text import read_toml, write_toml


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)


class Procfile(InFolder):
    def read(self, text):
        (self.path / "Procfile").write_bytes(text.encode())
        return read_procfile(self.path / "Procfile")

    def test_reads_windows_line_ends_comments_and_a_byte_order_mark(self):
        self.assertEqual(self.read("\ufeffweb: node a.js\r\n# no\r\n\r\nworker:sleep 1\r\n"), {"web": "node a.js", "worker": "sleep 1"})

    def test_names_the_line_that_is_broken(self):
        for text, reason in (("web: a\n<<<<<<< HEAD\n", "line 2: a merge conflict"), ("web: a\nweb: b", "web is there twice"),
                             ("web:", "has no command"), ("just words", 'expected "type: command"')):
            with self.assertRaisesRegex(BuildFailure, reason):
                self.read(text)

    def test_plain_and_quoted_words_run_without_a_shell(self):
        self.assertEqual(command_argv("node server.js --name 'two words'"), ["node", "server.js", "--name", "two words"])

    def test_expansions_run_through_bash_which_the_command_replaces_and_further_arguments_reach_it(self):
        self.assertEqual(command_argv("serve --port $PORT"), ["bash", "-c", 'exec serve --port $PORT "$@"', "bash"])
        self.assertEqual(run([*command_argv('printf "%s|" "$HOME"'), "two words"], HOME="/h"), "/h|two words|")

    def test_lists_pipes_and_assignments_are_left_to_bash(self):
        for line in ("cd x && node y", "A=1 node x", "a | b", "if true; then b; fi"):
            self.assertEqual(command_argv(line), ["bash", "-c", line])


def run(argv, **env):
    return subprocess.run(argv, env={"PATH": os.environ["PATH"], **env}, check=True, capture_output=True, text=True).stdout


class Toml(InFolder):
    def test_what_is_written_reads_back_the_same(self):
        table = {"types": {"launch": True}, "metadata": {"key": 'a "b" \\ \n\x7f é', "n": 3, "@x/y": {"a.b": "c"}},
                 "processes": [{"type": "web", "command": ["a", "b c"]}, {"type": "w", "args": []}]}
        write_toml(self.path / "a.toml", table)
        self.assertEqual(read_toml(self.path / "a.toml"), table)

    def test_a_missing_file_is_empty(self):
        self.assertEqual(read_toml(self.path / "none.toml"), {})


class Layers(InFolder):
    def test_a_layer_knows_what_the_former_build_made_it_from(self):
        Layer(self.path, "deps").keep(launch=True, key="k1", version="2")
        restored = Layer(self.path, "deps")
        self.assertTrue(restored.matches("k1"))
        self.assertFalse(restored.matches("k2"))
        self.assertFalse(restored.has_contents())
        self.assertEqual(restored.metadata["version"], "2")

    def test_environment_files_say_when_and_how(self):
        layer = Layer(self.path, "env")
        layer.reset()
        layer.set_env("PATH", "/x", how="prepend", separator=":")
        self.assertEqual(sorted(os.listdir(layer.path / "env.launch")), ["PATH.delim", "PATH.prepend"])


class Digests(InFolder):
    def test_parts_do_not_run_into_each_other(self):
        self.assertNotEqual(digest("ab", "c"), digest("a", "bc"))
        self.assertNotEqual(digest(["a"], "b"), digest("a", ["b"]))

    def test_a_tree_changes_with_contents_names_and_modes_but_not_with_times(self):
        (self.path / "a").write_text("1")
        first = digest_tree(self.path)
        os.utime(self.path / "a", (0, 0))
        self.assertEqual(digest_tree(self.path), first)
        (self.path / "a").chmod(0o755)
        self.assertNotEqual(digest_tree(self.path), first)


class Archives(InFolder):
    def test_a_packed_folder_comes_back_with_links_modes_and_times(self):
        (self.path / "from" / "bin").mkdir(parents=True)
        (self.path / "from" / "bin" / "x").write_text("#!")
        (self.path / "from" / "bin" / "x").chmod(0o755)
        (self.path / "from" / "bin" / "link").symlink_to("x")
        os.utime(self.path / "from" / "bin" / "x", (1000, 1000))
        pack(self.path / "from", ["bin"], self.path / "a.tar")
        (self.path / "to").mkdir()
        unpack(self.path / "a.tar", self.path / "to")
        stat = os.stat(self.path / "to" / "bin" / "x")
        self.assertEqual((stat.st_mode & 0o777, int(stat.st_mtime)), (0o755, 1000))
        self.assertEqual(os.readlink(self.path / "to" / "bin" / "link"), "x")

    def test_a_download_cannot_leave_its_folder(self):
        (self.path / "evil").write_text("x")
        subprocess.run(["tar", "-C", self.path, "-cPf", self.path / "a.tar", "--transform", "s,evil,top/../../evil,", "evil"], check=True)
        with self.assertRaisesRegex(BuildFailure, "would leave its folder"):
            unpack_tar(self.path / "a.tar", self.path / "out")


class SoftwareLists(unittest.TestCase):
    def test_the_same_software_gives_the_same_list_whatever_its_order(self):
        a, b = component("npm", "@x/a", "1.0.0"), component("npm", "b", "2.0.0")
        self.assertEqual(sbom([a, b]), sbom([b, a, b]))
        self.assertEqual(a["purl"], "pkg:npm/%40x/a@1.0.0")
        self.assertNotIn("serialNumber", sbom([a]))
