"""Runs a demo network for the tests of the console, and talks to its nodes over HTTP."""
import http.client, json, os, re, signal, subprocess, tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Demo:
    """`strata demo` as a process; `urls` has each node's address with its token."""

    def __init__(self, strata, quiet=True):
        words = [strata, "demo", os.path.join(ROOT, "examples", "demo"), "--any-ports"] + (["--quiet"] if quiet else [])
        if "CONSOLE_PAGE" in os.environ:
            words += ["--console", os.environ["CONSOLE_PAGE"]]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.text = ""
        while "Ctrl-C ends" not in self.text:
            line = self.process.stdout.readline()
            if not line:
                self.process.kill()
                self.process.wait()
                raise SystemExit(f"the demo did not start:\n{self.text}")
            self.text += line
        self.urls = dict(re.findall(r"^\s+(\w+)\s+(http://\S+)", self.text, re.M))
        self.folder = re.search(r"--config (\S+)/\w+\.json", self.text).group(1)

    def node(self, name):
        return Node(self.urls[name])

    def close(self):
        """Ends it as Ctrl-C would; whether nothing is left."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(10)
        self.process.stdout.close()
        return status == 0 and not os.path.exists(self.folder)


class Node:
    """One node's control port."""

    def __init__(self, url):
        self.url = url
        self.origin, self.token = re.match(r"(http://[^/]+)/#token=(\w+)", url).groups()
        self.connection = http.client.HTTPConnection(self.origin[7:], timeout=20)

    def ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body),
                                {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
                                if body is not None else {"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def raw(self, path):
        """A GET's status and bytes."""
        self.connection.request("GET", path, None, {"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def single(strata, config, folder=None):
    """`strata node` with a file of its own; the process and its address."""
    folder = folder or tempfile.mkdtemp(prefix="strata-console-")
    path = os.path.join(folder, f"{config['name']}.json")
    with open(path, "w") as file:
        json.dump(config, file)
    process = subprocess.Popen([strata, "node", path, "--log-level", "error"] + (["--console", os.environ["CONSOLE_PAGE"]] if "CONSOLE_PAGE" in os.environ else []), stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    if not found:
        raise SystemExit(f"the node did not start: {line}")
    return process, found.group(0), folder
