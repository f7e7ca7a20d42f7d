import importlib.util
import os
import py_compile
import tempfile
import unittest
from pathlib import Path

from bytecode import compile_unchecked
from cnb.failure import BuildFailure
from requirements_source import find_requirements
from start import find_processes
from wanted_version import wanted_python


class AppTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.app = Path(folder.name)

    def write(self, name, text=""):
        path = self.app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Versions(AppTest):
    def test_a_version_file_takes_what_it_names_and_what_is_below(self):
        self.write(".python-version", "# ours\n3.11\n")
        wanted = wanted_python(self.app)
        self.assertTrue(wanted.fits("3.11.2"))
        self.assertFalse(wanted.fits("3.1.1"))
        self.assertFalse(wanted.fits("3.12.0"))

    def test_heroku_s_runtime_file_is_read(self):
        self.write("runtime.txt", "python-3.11.9\n")
        wanted = wanted_python(self.app)
        self.assertFalse(wanted.fits("3.11.2"))
        self.assertTrue(wanted.is_same_series("3.11.2"))

    def test_requires_python_is_a_set_of_conditions(self):
        for text, fits in ((">=3.10", True), (">=3.10,<3.12", True), ("~=3.11.0", True), ("~=3.11", True), ("==3.11.*", True), ("!=3.11.*", False),
                           (">=3.12", False), ("<3.11", False), ("==3.11.2", True), ("!=3.11.2", False), (">3.11.2", False)):
            self.write("pyproject.toml", f'[project]\nname = "a"\nrequires-python = "{text}"\n')
            self.assertEqual(wanted_python(self.app).fits("3.11.2"), fits, text)

    def test_nonsense_is_refused_with_its_place(self):
        self.write(".python-version", "pypy")
        with self.assertRaisesRegex(BuildFailure, '.python-version asks for Python "pypy"'):
            wanted_python(self.app)


class Sources(AppTest):
    def test_a_lockfile_wins_over_requirements(self):
        self.write("uv.lock")
        self.write("pyproject.toml", '[project]\nname = "a"\n')
        self.write("requirements.txt")
        self.assertEqual(find_requirements(self.app).arguments, ("sync", "--locked", "--no-dev", "--no-install-project"))

    def test_a_local_requirement_makes_the_whole_app_count(self):
        self.write("requirements.txt", "flask\n")
        self.assertEqual(find_requirements(self.app).tree, "")
        self.write("requirements.txt", "-e .\n")
        self.assertNotEqual(find_requirements(self.app).tree, "")

    def test_what_is_not_supported_says_what_to_do(self):
        for name, text in (("poetry.lock", "poetry export"), ("Pipfile", "pipenv requirements"), ("pyproject.toml", "no \\[project\\] table")):
            self.write(name, "")
            with self.assertRaises(BuildFailure) as caught:
                find_requirements(self.app)
            self.assertRegex(" ".join(caught.exception.lines), text)
            (self.app / name).unlink()


class Start(AppTest):
    def web(self, *packages):
        return find_processes(self.app, dict.fromkeys(packages, "1")).get("web")

    def test_django_runs_behind_gunicorn(self):
        self.write("manage.py")
        self.write("mysite/wsgi.py")
        self.assertEqual(self.web("django", "gunicorn"), ["bash", "-c", 'exec gunicorn --bind 0.0.0.0:${PORT:-5000} mysite.wsgi:application "$@"', "bash"])

    def test_apps_are_found_by_their_constructor(self):
        self.write("app/main.py", "import fastapi\n\nservice: fastapi.FastAPI = fastapi.FastAPI(\n)\n")
        self.assertIn("uvicorn --host 0.0.0.0 --port ${PORT:-5000} app.main:service", self.web("fastapi", "starlette", "uvicorn")[2])

    def test_factories_of_flask_are_called(self):
        self.write("wsgi.py", "def create_app():\n    pass\n")
        self.assertIn("'wsgi:create_app()'", self.web("flask", "gunicorn")[2])

    def test_a_missing_server_is_named(self):
        self.write("app.py", "app = Flask(__name__)\n")
        with self.assertRaisesRegex(BuildFailure, "Flask app \\(app:app\\), and gunicorn"):
            self.web("flask")

    def test_a_plain_script_is_the_last_resort(self):
        self.write("main.py")
        self.assertEqual(self.web(), ["python", "main.py"])

    def test_nothing_to_start_is_an_error(self):
        with self.assertRaisesRegex(BuildFailure, "Nothing says how this app starts"):
            self.web()


class Bytecode(AppTest):
    def test_it_stays_valid_when_times_are_lost_and_is_the_same_bytes_however_it_came(self):
        self.write("a.py", "x = 1\n")
        compiled = Path(importlib.util.cache_from_source(str(self.app / "a.py")))
        compile_unchecked(self.app)
        fresh = compiled.read_bytes()
        py_compile.compile(str(self.app / "a.py"), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
        self.assertNotEqual(compiled.read_bytes(), fresh)
        compile_unchecked(self.app)
        self.assertEqual(compiled.read_bytes(), fresh)
        self.assertEqual(fresh[4:8], b"\x01\0\0\0")

    def test_bytecode_of_another_source_is_not_kept(self):
        self.write("a.py", "x = 1\n")
        py_compile.compile(str(self.app / "a.py"))
        self.write("a.py", "x = 22\n")
        os.utime(self.app / "a.py", (1, 1))
        compile_unchecked(self.app)
        code = Path(importlib.util.cache_from_source(str(self.app / "a.py"))).read_bytes()
        self.assertEqual(code[8:16], importlib.util.source_hash(b"x = 22\n"))

    def test_a_file_that_is_no_python_is_left_alone(self):
        self.write("template.py", "{{ name }} = \n")
        compile_unchecked(self.app)
        self.assertFalse((self.app / "__pycache__").exists() and os.listdir(self.app / "__pycache__"))
