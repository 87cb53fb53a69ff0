"""A real Chromium, headless, driven by playwright-core (test/web/js)."""

import json
import os
import shutil
import subprocess

from ..process import Unavailable, need
from ..server.server import REPOSITORY

MODULES = os.path.join(REPOSITORY, "build", "browser")
SCREENSHOTS = os.path.join(REPOSITORY, "build", "screenshots")
# npm installs that of the processor. Debian 12's is too old for playwright-core.
NODE = [os.path.join(MODULES, "node_modules", f"node-linux-{processor}", "bin", "node") for processor in ("arm64", "x64")]


def of_page(script):
    """A script that imports '/assets/state/store.js' gets the module that the page has, whose address has its version."""
    return script.replace("import('/assets/", "import(document.querySelector('script[type=module]').src.replace(/[^/]*$/, '') + '")


class BrowserError(Exception):
    """What was asked of the page failed."""


class Browser:
    """One page at a time, but for those that were opened beside it. problems() has the errors of its console."""

    def __init__(self):
        program = need("chromium", "chromium-browser")
        if not os.path.isdir(os.path.join(MODULES, "node_modules", "playwright-core")):
            raise Unavailable(f"{MODULES} does not have playwright-core (./dev test web fetches it)")
        shutil.copy(os.path.join(REPOSITORY, "test", "web", "js", "browser.mjs"), MODULES)
        self.program = program
        self.start()

    def start(self):
        self.is_in_step = True  # each command so far has its answer
        self.child = subprocess.Popen([need(*NODE, "node"), "browser.mjs", self.program], cwd=MODULES, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()

    def call(self, command, **argument):
        self.is_in_step = False
        self.child.stdin.write(json.dumps({"command": command, **argument}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise BrowserError(f"the browser ended with {self.child.wait(10)}")
        answer = json.loads(line)
        self.is_in_step = True
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer["value"]

    def open(self, server, path="/", **argument):
        """width, height, scheme ("light", "dark"), contrast (a theme that forces colours), hidden (a tab in the background), beside (the page of before stays open)"""
        self.call("open", url=f"http://127.0.0.1:{server.http_port}{path}", **argument)

    def leave(self):
        """To a page that is no server's: what the one before has under way ends."""
        self.call("leave")

    def evaluate(self, script):
        return self.call("evaluate", script=of_page(script))

    def wait(self, script, seconds=60):
        self.call("wait", script=of_page(script), milliseconds=seconds * 1000)

    def text(self, selector="main"):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def wait_for_text(self, text, selector="main", seconds=60):
        try:
            self.wait(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(text)})", seconds)
        except BrowserError as error:
            raise BrowserError(f"{selector} does not have {text!r}, but: {self.text(selector)}") from error

    def click(self, selector):
        self.call("click", selector=selector)

    def download(self, selector):
        """Clicks, and returns the name and the text of the file that is saved."""
        return self.call("download", selector=selector)

    def fill(self, selector, text):
        self.call("fill", selector=selector, text=text)

    def press(self, key):
        self.call("press", key=key)

    def hide(self, hidden=True):
        """The tab goes to the background, or comes to the front."""
        self.call("hide", hidden=hidden)

    def size(self, width, height):
        self.call("size", width=width, height=height)

    def screenshot(self, name):
        os.makedirs(SCREENSHOTS, exist_ok=True)
        self.call("screenshot", path=os.path.join(SCREENSHOTS, f"{name}.png"))

    def axe(self):
        return self.call("axe")

    def problems(self):
        return self.call("problems")
