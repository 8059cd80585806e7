"""Moves a file between two Syncthing instances of their own homes, with local addresses only."""
import datetime, json, os, re, shutil, socket, subprocess, threading, time, urllib.request, xml.etree.ElementTree as xml

from measure import Broken, Run, Side, check, wait_for

# What would leave this machine, or slow it down on purpose.
OPTIONS = {
    "globalAnnounceEnabled": "false", "localAnnounceEnabled": "false", "relaysEnabled": "false", "natEnabled": "false",
    "urAccepted": "-1", "crashReportingEnabled": "false", "autoUpgradeIntervalH": "0", "startBrowser": "false",
    "setLowPriority": "false", "reconnectionIntervalS": "5", "stunKeepaliveStartS": "0", "minHomeDiskFree": "0",
}


def free_port():
    """A port that nobody had a moment ago; Syncthing can't tell which it took by itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Instance:
    """One Syncthing with its own home and folder."""

    def __init__(self, command, base, name):
        self.command, self.name = command, name
        self.home, self.folder = os.path.join(base, name, "home"), os.path.join(base, name, "folder")
        os.makedirs(self.folder)
        os.makedirs(os.path.join(self.folder, ".stfolder"))
        self.port, self.gui, self.key = free_port(), free_port(), os.urandom(16).hex()
        self.environment = dict(os.environ, HOME=self.home, STNODEFAULTFOLDER="1", STNOUPGRADE="1")
        done = subprocess.run([command, "generate", "--home", self.home, "--no-default-folder", "--skip-port-probing"],
                              capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise Broken(f"syncthing generate: {done.stderr.strip()}")
        self.config = os.path.join(self.home, "config.xml")
        self.id = xml.parse(self.config).getroot().find("device").get("id")
        self.side = None

    def configure(self, other, kind):
        tree = xml.parse(self.config)
        root = tree.getroot()
        for old in root.findall("device") + root.findall("folder"):
            root.remove(old)
        for peer in (self, other):
            device = xml.SubElement(root, "device", id=peer.id, name=peer.name, compression="never")
            xml.SubElement(device, "address").text = f"tcp://127.0.0.1:{peer.port}"
        folder = xml.SubElement(root, "folder", id="moved", label="moved", path=self.folder, type=kind,
                                rescanIntervalS="0", fsWatcherEnabled="false")
        for peer in (self, other):
            xml.SubElement(folder, "device", id=peer.id)
        xml.SubElement(folder, "minDiskFree", unit="").text = "0"
        options = root.find("options")
        for key, value in dict(OPTIONS, listenAddress=f"tcp://127.0.0.1:{self.port}").items():
            for old in options.findall(key):
                options.remove(old)
            xml.SubElement(options, key).text = value
        gui = root.find("gui")
        gui.find("address").text = f"127.0.0.1:{self.gui}"
        gui.find("apikey").text = self.key
        tree.write(self.config)

    def start(self, base):
        log = open(os.path.join(base, f"{self.name}.log"), "wb")
        self.side = Side([self.command, "serve", "--home", self.home, "--no-browser", "--no-restart", "--logfile=-"],
                         stdout=log, stderr=subprocess.STDOUT, env=self.environment)
        log.close()

    def ask(self, path, method="GET", timeout=30):
        request = urllib.request.Request(f"http://127.0.0.1:{self.gui}/rest/{path}", method=method,
                                         headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def tries(self, path):
        try:
            return self.ask(path)
        except OSError:
            return None

    def is_connected(self, other):
        found = self.tries("system/connections")
        return bool(found and found["connections"].get(other.id, {}).get("connected"))

    def is_idle(self):
        found = self.tries("db/status?folder=moved")
        return bool(found and found["state"] == "idle")


class Syncthing:
    name = "syncthing"

    def __init__(self):
        self.command = shutil.which("syncthing")

    def variants(self):
        return ["syncthing"]

    def version(self):
        """Its version; None when it isn't installed."""
        if not self.command:
            return None
        done = subprocess.run([self.command, "--version"], capture_output=True, text=True)
        found = re.search(r"v([\d.]+)", done.stdout)
        return found.group(1) if found else None

    def prepare(self, source):
        """Nothing is shared between runs."""

    def run(self, variant, folder, source):
        giver, taker = (Instance(self.command, folder, name) for name in ("giver", "taker"))
        giver.configure(taker, "sendonly")
        taker.configure(giver, "receiveonly")
        sides = []
        try:
            for instance in (giver, taker):
                instance.start(folder)
                sides.append(instance.side)
            wait_for("Syncthing's connection", lambda: giver.is_connected(taker) and taker.is_connected(giver),
                     120, 0.1, sides)
            wait_for("Syncthing's first look", lambda: giver.is_idle() and taker.is_idle(), 60, 0.1, sides)
            time.sleep(1)
            return self.move(giver, taker, sides, source)
        finally:
            for side in sides:
                side.close()

    def move(self, giver, taker, sides, source):
        """The clock runs from Syncthing's own word that it starts to fetch: what it hashed before is not counted, as a
        share isn't elsewhere. The whole time since the rescan is told besides."""
        name = os.path.basename(source.path)
        os.link(source.path, os.path.join(giver.folder, name))
        target = os.path.join(taker.folder, name)
        source.settle()
        for side in sides:
            side.forget_peak()
        begun = {}

        def listen():
            while True:
                for event in taker.ask("events?events=ItemStarted&since=0&timeout=60", timeout=90) or []:
                    if event["data"]["item"] == name:
                        begun["cpu"] = sum(side.cpu() for side in sides)
                        begun["time"] = datetime.datetime.fromisoformat(event["time"]).timestamp()
                        return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        time.sleep(0.2)
        asked = time.time()
        giver.ask("db/scan?folder=moved", "POST", timeout=600)
        wait_for("the file", lambda: os.path.exists(target), 600, alive=sides)
        ended = time.time()
        listener.join(10)
        if "time" not in begun:
            raise Broken("syncthing never said that it began")
        cpu = sum(side.cpu() for side in sides) - begun["cpu"]
        peaks = [side.peak() for side in sides]
        check(target, source)
        return Run(ended - begun["time"], cpu, *peaks, note=f"{ended - asked:.2f} s from the rescan")
