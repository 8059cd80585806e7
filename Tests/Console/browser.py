"""Drives a headless Chromium over the DevTools protocol's pipe, with nothing but Python's standard library."""
import base64, fcntl, json, os, select, shutil, subprocess, tempfile, time


def module(name):
    """An expression, for an async function of the page: one of the console's own modules."""
    return f"(await import(document.querySelector('script[type=module]').src)).useModule('{name}.js')"


class Browser:
    """One Chromium with a profile of its own, which is removed with it."""

    def __init__(self):
        program = next((found for name in ("chromium", "chromium-browser", "google-chrome")
                        if (found := shutil.which(name))), None)
        if program is None:
            raise SystemExit("no chromium is on the PATH; on Debian: apt-get install chromium")
        self.profile = tempfile.mkdtemp(prefix="strata-console-")
        to_child, self.write_end = os.pipe()
        self.read_end, from_child = os.pipe()

        def place_pipes():
            # Chromium reads from descriptor 3 and writes to 4; ours may stand there already, so both move away first.
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_child, from_child)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--disable-dev-shm-usage", "--mute-audio",
             "--hide-scrollbars", "--lang=en", f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=place_pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        os.close(to_child)
        os.close(from_child)
        self.buffer = b""
        self.last = 0
        self.events = []

    def ask(self, method, params=None, session=None, timeout=30):
        """Asks something and waits for its answer."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        wanted, end = self.last, time.monotonic() + timeout
        while True:
            answer = self.next(end)
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer.get("result", {})
            if "method" in answer:
                self.events.append(answer)

    def next(self, end):
        """The next message, until a moment."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read_end], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("chromium does not answer")
            data = os.read(self.read_end, 1 << 20)
            if not data:
                raise RuntimeError("chromium has ended")
            self.buffer += data
        one, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(one)

    def page(self, width=1440, height=900, dark=False, reduced=True, phone=False):
        """A new page."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        return Page(self, session, context, width, height, dark, reduced, phone)

    def close(self):
        """Ends it."""
        try:
            self.ask("Browser.close", timeout=5)
            self.process.wait(5)
        except Exception:
            self.process.kill()
            self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """One page of the browser."""

    def __init__(self, browser, session, context, width, height, dark, reduced, phone):
        self.browser, self.session, self.context = browser, session, context
        for name in ("Page.enable", "Runtime.enable", "Log.enable", "Network.enable"):
            self.ask(name)
        self.size(width, height, phone)
        self.ask("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"}]})

    def ask(self, method, params=None, timeout=30):
        return self.browser.ask(method, params, self.session, timeout)

    def size(self, width, height, phone=False):
        self.ask("Emulation.setDeviceMetricsOverride",
                 {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})

    def open(self, url):
        self.ask("Page.navigate", {"url": url})

    def run(self, script, timeout=30):
        """The value of an expression, awaited if it is a promise."""
        answer = self.ask("Runtime.evaluate", {
            "expression": script, "returnByValue": True, "awaitPromise": True, "userGesture": True}, timeout)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def until(self, script, what=None, seconds=20):
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.run(f"!!({script})")
            except RuntimeError:
                value = None
            if value:
                return
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s in vain: {what or script}")
            time.sleep(0.05)

    def press(self, key, code=None, text=None, modifiers=0):
        common = {"key": key, "code": code or key, "modifiers": modifiers,
                  "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36}.get(key, 0)}
        self.ask("Input.dispatchKeyEvent", {"type": "keyDown", **common, **({"text": text} if text else {})})
        self.ask("Input.dispatchKeyEvent", {"type": "keyUp", **common})

    def type(self, text):
        self.ask("Input.insertText", {"text": text})

    def picture(self, path):
        data = self.ask("Page.captureScreenshot", {"format": "png"})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """What the page's own console and policy had to say against it."""
        self.run("1")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in ("error", "warning"):
                found.append(" ".join(str(item.get("value", item.get("description"))) for item in event["params"]["args"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"] + " " + event["params"]["entry"].get("url", ""))
        return found

    def close(self):
        self.browser.ask("Target.disposeBrowserContext", {"browserContextId": self.context})
