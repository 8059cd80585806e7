"""Moves a file from one `strata node` to another, as a person would: shares it on one, downloads it on the other."""
import json, os, subprocess, time

from measure import Broken, Run, Side, check, wait_for


class Strata:
    name = "strata"

    def __init__(self, command):
        self.command = command

    def variants(self):
        return ["strata"]

    def node(self, folder, name, peers):
        """Starts a node with the layers that a download needs; the node, and its configuration's path."""
        config = os.path.join(folder, f"{name}.json")
        with open(config, "w") as file:
            json.dump({
                "name": name, "listen": "127.0.0.1:0", "control": "127.0.0.1:0", "peers": peers,
                "data": os.path.join(folder, name), "layers": {"gossip": {}, "routing": {}, "fileshare": {}},
            }, file)
        log = open(os.path.join(folder, f"{name}.log"), "wb")
        side = Side([self.command, "node", config, "--log-level", "error"], stdout=subprocess.DEVNULL, stderr=log)
        log.close()
        return side, config

    def ask(self, config, *words, seconds=600):
        done = subprocess.run([self.command, *words, "--config", config, "--json"], capture_output=True, text=True,
                              timeout=seconds)
        if done.returncode:
            raise Broken(f"strata {' '.join(words)[:60]}: {done.stderr.strip() or done.stdout.strip()}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            # A stream is one value a line; the last is the result.
            return json.loads(done.stdout.strip().splitlines()[-1])

    def status(self, config):
        try:
            return self.ask(config, "status")
        except Broken:
            return None

    def run(self, variant, folder, source):
        sides = []
        try:
            sender, from_config = self.node(folder, "giver", [])
            sides.append(sender)
            address = wait_for("the giver", lambda: self.status(from_config), 30, 0.05, sides)["address"]
            receiver, to_config = self.node(folder, "taker", [address])
            sides.append(receiver)
            wait_for("the taker", lambda: self.status(to_config), 30, 0.05, sides)
            shared = self.ask(from_config, "fileshare", "share", source.path)
            link = shared["shared"][0]["link"]
            time.sleep(1)
            return self.download(sides, to_config, link, os.path.join(folder, "arrived.bin"), source)
        finally:
            for side in sides:
                side.close()

    def download(self, sides, config, link, target, source):
        source.settle()
        for side in sides:
            side.forget_peak()
        cpu = sum(side.cpu() for side in sides)
        start = time.monotonic()
        command = subprocess.Popen(
            [self.command, "fileshare", "download", "--input", json.dumps({"file": link, "to": target}),
             "--config", config, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            def arrived():
                if command.poll() not in (None, 0):
                    raise Broken(f"the download failed: {command.stdout.read().strip()[-300:]}")
                return os.path.exists(target)
            wait_for("the file", arrived, 600, alive=sides)
            seconds = time.monotonic() - start
            command.communicate(timeout=60)
        finally:
            if command.poll() is None:
                command.kill()
                command.wait()
            command.stdout.close()
        cpu = sum(side.cpu() for side in sides) - cpu
        peaks = [side.peak() for side in sides]
        check(target, source)
        return Run(seconds, cpu, *peaks)
