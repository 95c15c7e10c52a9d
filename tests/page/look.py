#!/usr/bin/env python3
"""Looks at the page of `debug::serve` in a browser: tests/page/look.py PROGRAM [FOLDER]

PROGRAM is the example `inspect`. The page must show each of its four faults, treat names as text,
load nothing from elsewhere, and work with the keyboard. With FOLDER, pictures of the page, light
and dark, are written there. Without Chromium the test is skipped, with status 0.

Chromium is driven by its protocol over two pipes, which needs no package of Python's.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

LIMIT = 60  # seconds; far longer than anything here takes

# The box that says which goroutines have leaked.
LEAK = """[...document.querySelectorAll('#findings details.bad')].find((box) =>
    /leak/i.test(box.textContent) && box.textContent.includes('crawler'))"""


class Browser:
    """A headless Chromium with one tab."""

    def __init__(self, program, folder):
        to_browser, from_us = os.pipe()
        from_browser, to_us = os.pipe()

        def set_descriptors():
            # Descriptors that are 3 or 4 themselves must not be closed before they are copied.
            read, write = os.dup(to_browser), os.dup(to_us)
            os.dup2(read, 3)
            os.dup2(write, 4)

        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--no-first-run", f"--user-data-dir={folder}", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(command, preexec_fn=set_descriptors, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(to_us)
        self.write, self.read = from_us, from_browser
        self.bytes, self.number, self.events = b"", 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    session = None

    def message(self):
        """Returns the next message of the browser."""
        deadline = time.monotonic() + LIMIT
        while b"\0" not in self.bytes:
            left = deadline - time.monotonic()
            if not select.select([self.read], [], [], max(0, left))[0]:
                raise TimeoutError("the browser does not answer")
            some = os.read(self.read, 1 << 16)
            if not some:
                raise EOFError("the browser has ended")
            self.bytes += some
        text, self.bytes = self.bytes.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        """Calls a method, and returns its result. Events that come meanwhile are kept."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.write, json.dumps(call).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def evaluate(self, script):
        """Returns the value of a script in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, what, script):
        """Waits until the script is true in the page."""
        deadline = time.monotonic() + LIMIT
        while not self.evaluate(script):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"the page does not show {what}:\n{text}")
            time.sleep(0.05)
        print(f"ok: {what}")

    def press(self, key, code):
        for kind in ["keyDown", "keyUp"]:
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **text)

    def picture(self, path, scheme, width=1180):
        """Writes a picture of the whole page."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=False)
        time.sleep(0.3)  # The page is laid out anew.
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", clip=clip,
                            captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def end(self):
        self.process.terminate()
        self.process.wait()


def has(text):
    return f"document.body.innerText.includes({json.dumps(text)})"


def look(browser, url, pictures):
    browser.call("Page.navigate", url=url)
    # The four faults, in words and in red.
    browser.wait_for("ten thousand goroutines in one row of the table", """
        [...document.querySelectorAll('#groups tr')].some((row) =>
            row.cells[0].textContent === '10,000' && row.cells[1].textContent === 'chan receive')
    """)
    browser.wait_for("the deadlock, with both names", """
        [...document.querySelectorAll('#findings .bad')].some((box) =>
            /^Deadlock: 2 goroutines wait for each other/.test(box.textContent)
            && box.textContent.includes('pays') && box.textContent.includes('collects'))
    """)
    browser.wait_for("the held worker, and the hog", """
        [...document.querySelectorAll('#findings .bad')].some((box) =>
            /^Worker [0-9]+ is held/.test(box.textContent) && box.textContent.includes('hog'))
        && document.querySelectorAll('#lanes .what.held').length >= 1
        && document.querySelectorAll('#lanes rect.held').length >= 2
    """)
    available = json.load(urllib.request.urlopen(url + "debug/leaks"))["available"]
    if available:
        look_at_leaks(browser)
    else:
        browser.wait_for("that leaks are not searched for", has("Leaks are not searched for"))
        browser.wait_for("the goroutines that leak", """
            [...document.querySelectorAll('#groups .names')].some((names) =>
                names.textContent.includes('crawler'))
        """)
    # A name is text: there is one script, and no dialog has opened.
    filter_for(browser, "<script>")
    browser.wait_for("a name that is no script", """
        document.scripts.length === 1 && [...document.querySelectorAll('#groups .names')].some(
            (names) => names.textContent.includes('<script>alert(1)</script>'))
    """)
    browser.wait_for("what the filter leaves", has("1 of 10,0"))
    # A group opens by the keyboard, and has frames.
    filter_for(browser, "pays")
    browser.wait_for("one row", """
        document.querySelectorAll('#groups tr').length === 1
        && document.querySelector('#groups .names').textContent === 'pays'
    """)
    browser.evaluate("document.querySelector('#groups button').focus()")
    browser.press("Enter", 13)
    browser.wait_for("the frames of a goroutine", r"""
        /^\t\S*main\.rs:/m.test(document.querySelector('.members pre')?.textContent)
    """)
    browser.press("Enter", 13)
    filter_for(browser, "")
    browser.wait_for("all rows", "document.querySelectorAll('#groups tr').length > 4")
    # Sorting tells screen readers of itself.
    browser.evaluate("document.querySelector('[data-sort=longest] button').click()")
    browser.wait_for("the order", """
        document.querySelector('[data-sort=longest]').getAttribute('aria-sort') === 'descending'
    """)
    browser.evaluate("document.querySelector('[data-sort=count] button').click()")
    # A profile and a dump.
    browser.evaluate("document.querySelector('#seconds').value = '1'")
    browser.evaluate("document.querySelector('#profile').click()")
    browser.wait_for("a profile with the hog",
                     "/\\{name: hog\\}/.test(document.querySelector('#output').textContent)")
    browser.evaluate("document.querySelector('#dump').click()")
    browser.wait_for("a dump", """
        /10000 goroutines \\[chan receive\\]|9999 goroutines \\[chan receive\\]/.test(
            document.querySelector('#output').textContent)
    """)
    browser.evaluate("document.querySelector('#output').hidden = true")
    every_control_has_a_name(browser)
    if pictures:
        browser.wait_for("lanes that are half full",
                         "document.querySelectorAll('#lanes rect.held').length >= 30")
        if available:
            browser.evaluate(f"{LEAK}.querySelector('summary').click()")
        browser.evaluate("document.activeElement.blur()")
        browser.picture(pictures / "page-light.png", "light")
        browser.picture(pictures / "page-dark.png", "dark")
        browser.picture(pictures / "page-narrow.png", "light", 420)


def look_at_leaks(browser):
    """The page shows that crawlers have leaked: in red, and their frames on a click."""
    box = LEAK
    browser.wait_for("the leak, with its number, state and spawn site", f"""
        /^(Leak: |Perhaps a leak: .*)nothing can wake (a goroutine|[2-6] goroutines) any more/
            .test({box}?.textContent)
        && /\\(chan receive\\) Spawned at \\S*main\\.rs:\\d+:\\d+/.test({box}.textContent)
    """)
    browser.wait_for("the leak in red", f"""
        (() => {{
            const color = (part, what) => getComputedStyle(part)[what].match(/\\d+/g).map(Number);
            const isRed = ([red, green, blue]) => red > 1.5 * green && red > 1.5 * blue;
            return isRed(color({box}, 'borderLeftColor'))
                && isRed(color({box}.querySelector('strong'), 'color'));
        }})()
    """)
    browser.wait_for("the leak's row in red", """
        [...document.querySelectorAll('#groups tr.alarm')].some((row) =>
            row.textContent.includes('crawler') && /for ever/.test(row.cells[1].textContent))
    """)
    # With a click come the frames. The box stays open, and keeps the focus, after a new search.
    browser.evaluate(f"{box}.querySelector('summary').focus()")
    browser.press("Enter", 13)
    browser.wait_for("the frames of the leak", f"""
        {box}.open && {box}.querySelector('pre').offsetHeight > 0
        && /^(\\S+::)?crawl$/m.test({box}.textContent)
        && /^\\t\\S*main\\.rs:\\d+/m.test({box}.textContent)
        && /It (has|may have) leaked:/.test({box}.textContent)
    """)
    browser.evaluate(f"window.first = {box}; document.querySelector('#look').click()")
    browser.wait_for("a new search", f"""
        !document.querySelector('#look').disabled && {box} !== window.first
    """)
    browser.wait_for("that the leak stays open", f"""
        {box}.open && document.activeElement === {box}.querySelector('summary')
    """)
    browser.evaluate(f"{box}.querySelector('summary').click()")


def filter_for(browser, text):
    browser.evaluate(f"""(() => {{
        const box = document.querySelector('#q');
        box.value = {json.dumps(text)};
        box.dispatchEvent(new Event('input'));
    }})()""")


def every_control_has_a_name(browser):
    unnamed = browser.evaluate("""
        [...document.querySelectorAll('button, a, input, summary, [role=img]')].filter((one) =>
            !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length))
            .map((one) => one.outerHTML)
    """)
    assert unnamed == [], f"controls without a name: {unnamed}"
    print("ok: each control has a name")


def check_events(events, url):
    """Nothing was loaded from elsewhere, and neither the page nor its policy complains."""
    for event in events:
        parameters = event.get("params", {})
        method = event.get("method")
        if method == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            assert address.startswith((url, "data:", "about:")), f"the page loads {address}"
        assert method not in ["Runtime.exceptionThrown", "Page.javascriptDialogOpening"], event
        if method == "Log.entryAdded":
            assert parameters["entry"]["level"] != "error", event
    print("ok: nothing from elsewhere, no error")


def main():
    program = sys.argv[1]
    pictures = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    names = ["chromium", "chromium-browser", "google-chrome"]
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        print("skipped: there is no Chromium (on Debian: apt-get install chromium)")
        return
    environment = {**os.environ, "GOMAXPROCS": os.environ.get("GOMAXPROCS", "4")}
    inspected = subprocess.Popen([program, "127.0.0.1:0"], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        first = inspected.stdout.readline().split()
        assert first[:2] == ["listening", "on"], first
        url = f"http://{first[2]}/"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            browser = Browser(chromium, folder)
            try:
                look(browser, url, pictures)
                check_events(browser.events, url)
            finally:
                browser.end()
        inspected.send_signal(signal.SIGINT)
        assert inspected.wait(LIMIT) == 0, "Ctrl-C ends the program with status 0"
        print("ok: the program ends")
    finally:
        inspected.kill()


if __name__ == "__main__":
    main()
