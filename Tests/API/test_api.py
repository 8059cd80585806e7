"""Tries a node's control port with Schemathesis: no answer may be a fault of the server or break `/openapi.json`.

    test_api.py STRATA [SCHEMATHESIS]

`make test-api` runs it. MAX_EXAMPLES (50) is how many requests each operation gets in each way, SEED repeats a run.
Every run is against a node of its own, in a folder that goes afterwards, which no other node knows. When started by
root, the node runs as nobody, since what is asked of it are paths of all sorts.
"""
import http.client, json, os, pwd, re, shutil, signal, subprocess, sys, tempfile

# Streams don't end, and neither does a download of a file that nobody has, so no answer of theirs is ever whole. What
# they refuse is tested in Swift. Stopping is tried last, and once.
ENDLESS = ["events", "packets", "gossip_follow", "fileshare_download"]
# Changes of the configuration take layers away, so they have a node of their own.
CHANGING = ["changeConfig", "reload"]
# What can't hold here, and why: a change of state that makes a later request fail is what commands are for, and a
# valid link to a file that nobody has is refused although its schema, a string, can't say so.
LEFT_OUT = "positive_data_acceptance,use_after_free,ensure_resource_availability"


class Node:
    """A node with every layer that comes with Strata."""

    def __init__(self, strata, layers):
        self.folder = tempfile.mkdtemp(prefix="strata-api-")
        path, options = os.path.join(self.folder, "api.json"), {}
        with open(path, "w") as file:
            json.dump({"name": "api", "listen": "127.0.0.1:0", "control": "127.0.0.1:0",
                       "data": os.path.join(self.folder, "data"),
                       "layers": {name: {} for name in layers} | {"fileshare": {"files": 1000}}}, file)
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
            # The program may lie where only root can look.
            command = os.path.join(self.folder, "strata")
            shutil.copy(strata, command)
            os.chmod(command, 0o755)
            strata, options = command, {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen([strata, "node", path, "--log-level", "warning"], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, cwd=self.folder, **options)
        found = re.search(r"(http://([^/]+))/#token=(\w+)", self.process.stdout.readline())
        if not found:
            self.log.seek(0)
            raise SystemExit(f"the node did not start: {self.log.read()}")
        self.origin, self.host, self.token = found.groups()

    def ask(self, method, path):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.request(method, path, headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def stop(self):
        """Stops it as a client would; whether that was answered as described and it ended well."""
        status, answer = self.ask("POST", "/v1/node/stop")
        return status == 202 and answer == {"state": "stopping"} and self.process.wait(20) == 0

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def layers(strata):
    """The names of all layers there are."""
    done = subprocess.run([strata, "layers", "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return [layer["name"] for layer in (found.get("layers") if isinstance(found, dict) else found)]


def run(strata, schemathesis, title, names, choice):
    """Schemathesis on the operations of a choice, then the end of the node; whether all was well."""
    node = Node(strata, names)
    try:
        print(f"== {title}", flush=True)
        words = [schemathesis, "run", f"{node.origin}/openapi.json", "-H", f"Authorization: Bearer {node.token}",
                 # Commands that wait for an answer of others give up after ten seconds.
                 "--max-response-time", "15",
                 "--checks", "all", "--exclude-checks", LEFT_OUT, "--continue-on-failure", "--request-timeout", "20",
                 "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all",
                 "--max-examples", os.environ.get("MAX_EXAMPLES") or "50", *choice]
        if os.environ.get("SEED"):
            words += ["--seed", os.environ["SEED"]]
        # What it remembers of earlier runs stays out of the repository.
        well = subprocess.run(words, cwd=node.folder).returncode == 0
        if node.process.poll() is not None:
            node.log.seek(0)
            print(f"the node ended by itself, with {node.process.returncode}:\n{node.log.read()[-2000:]}")
            return False
        if not node.stop():
            print("the node did not stop as it should")
            return False
        return well
    finally:
        node.close()


def main():
    # So that what was begun is ended, too, when this is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    strata = os.path.abspath(sys.argv[1])
    schemathesis = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else shutil.which("schemathesis")
    if not schemathesis or not os.path.exists(schemathesis):
        raise SystemExit("schemathesis is not installed; make test-api installs it from PyPI")
    names = layers(strata)
    others = [word for name in ENDLESS + ["stop"] + CHANGING for word in ("--exclude-operation-id", name)]
    changing = [word for name in CHANGING for word in ("--include-operation-id", name)]
    well = [run(strata, schemathesis, "all that leaves the node as it is", names, others),
            run(strata, schemathesis, "changes of the configuration", names, changing)]
    print("make test-api: nothing found" if all(well) else "make test-api: see above")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
