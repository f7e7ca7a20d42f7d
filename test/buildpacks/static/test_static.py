import os
import tarfile
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from cnb.failure import BuildFailure, NotDetected
from detect import detect
from nginx_conf import nginx_conf
from site_archive import find_site_files, write_site
from static_json import read_static_json


class AppTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.app = Path(folder.name)

    def write(self, name, text=""):
        path = self.app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Detection(AppTest):
    def detect(self, package=None, *files):
        if package is not None:
            self.write("package.json", package)
        for name in files:
            self.write(name)
        required = []
        try:
            detect(SimpleNamespace(app=self.app, provide=lambda name: None, require=lambda name, **metadata: required.append((name, metadata))))
        except NotDetected as reason:
            return str(reason)
        return required

    def test_a_front_end_is_built_by_node_and_runs_without_it(self):
        self.assertIn(("node", {"launch": False}), self.detect('{"scripts": {"build": "vite build", "start": "vite"}}'))

    def test_a_server_is_no_front_end(self):
        self.assertIn("starts a server", self.detect('{"scripts": {"build": "tsc", "start": "node dist/main.js"}}'))

    def test_a_server_framework_is_no_front_end(self):
        self.assertIn("next runs a server", self.detect('{"scripts": {"build": "next build"}, "dependencies": {"next": "16"}}'))

    def test_without_a_build_script_there_is_nothing_to_serve(self):
        self.assertIn("no build script", self.detect("{}"))

    def test_ready_made_files_need_no_node(self):
        self.assertEqual(self.detect(None, "index.html"), [("site", {})])

    def test_a_procfile_says_what_runs(self):
        self.assertIn("Procfile", self.detect(None, "index.html", "Procfile"))


class StaticJson(AppTest):
    def read(self, text):
        self.write("static.json", text)
        return read_static_json(self.app)

    def test_values_are_taken_and_what_is_not_done_is_said(self):
        settings = self.read('{"root": "./dist/", "routes": {"/**": "/index.html"}, "headers": {"/a*": {"X-A": "b; c"}}, "https_only": true, "odd": 1}')
        self.assertEqual((settings.root, settings.routes, settings.headers), ("dist", (("/**", "index.html"),), (("/a*", "X-A", "b; c"),)))
        self.assertEqual(len(settings.warnings), 2)

    def test_nothing_gets_into_the_server_s_configuration_that_is_more_than_a_value(self):
        for text in ('{"root": "../x"}', '{"root": "a; }"}', '{"routes": {"/a b": "i"}}', '{"routes": {"/a": "x\\";"}}', '{"error_page": "a/../../b"}',
                     '{"headers": {"/": {"X A": "b"}}}', '{"headers": {"/": {"A": "b\\"; evil"}}}', '{"headers": {"/": {"A": "a\\nb"}}}',
                     '{"headers": {"/": {"A": "$uri"}}}', '{"redirects": {"/a": {"url": "javascript:1;"}}}', '{"redirects": {"/a": {"url": "/b", "status": 200}}}',
                     '{"clean_urls": "yes"}', "[]", "{ no"):
            with self.assertRaisesRegex(BuildFailure, "static.json"):
                self.read(text)

    def test_the_configuration_holds_what_was_asked(self):
        nginx = SimpleNamespace(has_brotli=False, mime_types="/l/mime.types", brotli_module="")
        conf = nginx_conf(self.read('{"clean_urls": true, "error_page": "404.html", "routes": {"/app/*": "app.html"}, "redirects": {"/old": {"url": "/new"}}}'), nginx)
        for line in ("try_files $uri $uri.html $uri/ $forge_route =404;", "error_page 404 /404.html;", '"~^/app/[^/]*$" "/app.html";',
                     'location ~ "^/old$" { return 301 "/new"; }', "listen @PORT@;"):
            self.assertIn(line, conf)


class SiteFiles(AppTest):
    def test_hidden_files_and_links_out_of_the_site_are_not_for_visitors(self):
        for name in ("a.html", ".env", ".git/config", "node_modules/x.js", ".well-known/ok", "b/c.css"):
            self.write(name)
        os.symlink("/etc/passwd", self.app / "passwd")
        self.assertEqual(find_site_files(self.app), [".well-known/ok", "a.html", "b/c.css"])

    def test_times_tell_contents_of_one_length_apart_and_nothing_else_changes_the_archive(self):
        def archive(text, time):
            self.write("a.html", text)
            os.utime(self.app / "a.html", (time, time))
            with tempfile.NamedTemporaryFile() as file:
                write_site(self.app, ["a.html"], file.name)
                with tarfile.open(file.name) as tar:
                    return Path(file.name).read_bytes(), tar.getmember("a.html").mtime
        self.assertEqual(archive("one", 1), archive("one", 2))
        self.assertNotEqual(archive("one", 1)[1], archive("two", 1)[1])
