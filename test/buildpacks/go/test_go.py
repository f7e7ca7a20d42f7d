import tempfile
import unittest
from pathlib import Path

from cnb.failure import BuildFailure
from go_mod import Module, read_go_mod, version_key
from programs import name_processes
from toolchain import NOT_NEEDED


class GoMod(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "go.mod").write_text(text)
            return read_go_mod(Path(folder))

    def test_the_toolchain_line_wins_over_the_language(self):
        self.assertEqual(self.read("module a.b/c\n\ngo 1.23\n\ntoolchain go1.24.4\n"), Module("a.b/c", "1.24.4", "toolchain in go.mod"))
        self.assertEqual(self.read("module a.b/c\n\ngo 1.23.1\n").required, "1.23.1")

    def test_a_program_is_called_like_its_module_without_the_version(self):
        self.assertEqual(self.read("module example.org/shop/v2\n").name, "shop")

    def test_what_is_broken_is_named(self):
        with self.assertRaisesRegex(BuildFailure, "no module line"):
            self.read("go 1.22\n")
        with self.assertRaisesRegex(BuildFailure, 'asks for Go "one"'):
            self.read("module a\ngo one\n")

    def test_versions_have_an_order(self):
        self.assertLess(version_key("1.9"), version_key("1.21"))
        self.assertEqual(version_key("1.22"), version_key("1.22.0"))


class Processes(unittest.TestCase):
    shop = Module("example.org/shop", "1.24", "")

    def name(self, *programs, procfile=()):
        return name_processes(dict.fromkeys(programs, ""), self.shop, dict.fromkeys(procfile, "x"))

    def test_the_only_program_is_web(self):
        self.assertEqual(self.name("thing"), {"web": ["thing"]})

    def test_of_several_the_one_that_is_named_so_is_web(self):
        self.assertEqual(self.name("worker", "web"), {"web": ["web"], "worker": ["worker"]})
        self.assertEqual(self.name("migrate", "shop"), {"web": ["shop"], "migrate": ["migrate"]})
        self.assertEqual(self.name("server", "cron_job"), {"web": ["server"], "cron-job": ["cron_job"]})

    def test_the_procfile_wins_and_without_a_hint_nothing_is_web(self):
        self.assertEqual(self.name("web", "worker", procfile=["web"]), {"worker": ["worker"]})
        self.assertEqual(self.name("one", "two"), {"one": ["one"], "two": ["two"]})


class Toolchain(unittest.TestCase):
    def test_what_no_build_reads_is_left_out(self):
        for path in ("test/a.go", "src/cmd/go/main.go", "src/net/http/x_test.go", "src/a/testdata/b", "pkg/tool/linux_amd64/pprof"):
            self.assertRegex(path, NOT_NEEDED)
        for path in ("bin/go", "src/net/http/server.go", "pkg/tool/linux_amd64/compile", "src/testing/testing.go", "pkg/include/textflag.h"):
            self.assertNotRegex(path, NOT_NEEDED)
