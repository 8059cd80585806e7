"""Measures how two downloads and a flow of TCP share a link between network namespaces; `make bench-link` runs it.

    bench_link.py STRATA RESULTS

SECONDS (20) is how long each case is watched after WARM_UP (8), CASES which of them run, such as "cubic" or "lossy".
What this machine's kernel can't do is said, and left out.
"""
import json, os, shutil, signal, subprocess, sys, tempfile, time

from link import GIVER, TAKER, KernelLink, RelayedLink, Spaces, kernel_has_netem
from measure import MIB, Broken, Side, digest, load, merge, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
RATE, DELAY = 5_000_000, 0.02
SECONDS, WARM_UP = float(os.environ.get("SECONDS", 20)), float(os.environ.get("WARM_UP", 8))


class Nodes:
    """A giver on one side of the link, and takers on the other."""

    def __init__(self, strata, spaces, folder):
        self.strata, self.spaces, self.folder = strata, spaces, folder
        self.sides = []

    def start(self, name, side, port):
        config = os.path.join(self.folder, f"{name}.json")
        host = (GIVER, TAKER)[side]
        with open(config, "w") as file:
            json.dump({
                "name": name, "listen": f"{host}:{port}", "control": "127.0.0.1:0",
                "data": os.path.join(self.folder, name), "layers": {"fileshare": {}},
            }, file)
        with open(os.path.join(self.folder, f"{name}.log"), "wb") as log:
            self.sides.append(Side(
                [*self.spaces.inside(side), self.strata, "node", config, "--log-level", "error"],
                stdout=subprocess.DEVNULL, stderr=log))

        def answers():
            try:
                return self.ask(name, side, "status")
            except Broken:
                return None
        wait_for(name, answers, 30, 0.05, self.sides)

    def words(self, name, side, *words):
        config = os.path.join(self.folder, f"{name}.json")
        return [*self.spaces.inside(side), self.strata, *words, "--config", config, "--json"]

    def ask(self, name, side, *words):
        done = subprocess.run(self.words(name, side, *words), capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Broken(f"strata {' '.join(words)[:60]}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout.strip().splitlines()[-1] if words[1:2] == ("download",) else done.stdout)

    def share(self, path):
        return self.ask("giver", 0, "fileshare", "share", path)["shared"][0]["link"]

    def download(self, name, link, to):
        words = self.words(name, 1, "fileshare", "download", link, "--from", f"{GIVER}:7000", "--to", to)
        side = Side(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.sides.append(side)
        return side

    def bytes_of(self, name):
        found = self.ask(name, 1, "fileshare", "downloads")["downloads"]
        return found[0]["bytes"] if found else 0

    def close(self):
        for side in reversed(self.sides):
            side.close()
        self.sides = []


class Flow:
    """A flow of TCP from the giver's side to the takers'."""

    def __init__(self, spaces, control):
        program = os.path.join(HERE, "tcp_flow.py")
        self.receiver = Side([*spaces.inside(1), sys.executable, program, "receive", TAKER, "7100"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.receiver.process.stdout.readline()
        self.sender = Side([*spaces.inside(0), sys.executable, program, "send", TAKER, "7100", control])

    def bytes(self):
        pipe = self.receiver.process
        pipe.stdin.write("\n")
        pipe.stdin.flush()
        return int(pipe.stdout.readline())

    def close(self):
        self.sender.close()
        self.receiver.close()


def random_file(folder, name, size):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        while size > 0:
            size -= file.write(os.urandom(min(size, 4 * MIB)))
    return path


def jain(shares):
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares) or 1)


def fairness(strata, make, control, depth, sources):
    """What two downloads and a flow of TCP get of the link, in parts of it."""
    folder = tempfile.mkdtemp(prefix="strata-link-", dir=os.environ.get("PEERS_DIR"))
    spaces = Spaces()
    closing = [spaces]
    try:
        closing.append(make(spaces, RATE, int(RATE * 2 * DELAY * depth), DELAY))
        nodes = Nodes(strata, spaces, folder)
        closing.append(nodes)
        nodes.start("giver", 0, 7000)
        for place, path in enumerate(sources):
            nodes.start(f"taker{place}", 1, 7001 + place)
        links = [nodes.share(path) for path in sources]
        for place, link in enumerate(links):
            nodes.download(f"taker{place}", link, os.path.join(folder, f"fetched{place}"))
            time.sleep(0.3)
        flow = Flow(spaces, control)
        closing.append(flow)

        def counts():
            found = [(time.monotonic(), nodes.bytes_of(f"taker{place}")) for place in range(len(sources))]
            return found + [(time.monotonic(), flow.bytes())]
        time.sleep(WARM_UP)
        before = counts()
        time.sleep(SECONDS)
        after = counts()
        return [(b - a) / (t - s) / RATE for (s, a), (t, b) in zip(before, after)]
    finally:
        for thing in reversed(closing):
            thing.close()
        shutil.rmtree(folder, ignore_errors=True)


def lossy(strata, make, source):
    """The part of a link of 100 Mbit/s, 40 ms and 5 % loss each way that one download gets, and what TCP gets."""
    rate = 12_500_000
    folder = tempfile.mkdtemp(prefix="strata-link-", dir=os.environ.get("PEERS_DIR"))
    spaces = Spaces()
    closing = [spaces]
    try:
        closing.append(make(spaces, rate, 65_536, DELAY, 0.05))
        nodes = Nodes(strata, spaces, folder)
        closing.append(nodes)
        nodes.start("giver", 0, 7000)
        nodes.start("taker", 1, 7001)
        link, target = nodes.share(source), os.path.join(folder, "fetched")
        start = time.monotonic()
        side = nodes.download("taker", link, target)
        if side.process.wait(300):
            raise Broken("the download failed")
        seconds = time.monotonic() - start
        if digest(target) != digest(source):
            raise Broken("what has arrived is not what was sent")
        nodes.close()
        flow = Flow(spaces, "cubic")
        closing.append(flow)
        time.sleep(2)
        before, at = flow.bytes(), time.monotonic()
        time.sleep(8)
        return os.path.getsize(source) / seconds / rate, (flow.bytes() - before) / (time.monotonic() - at) / rate
    finally:
        for thing in reversed(closing):
            thing.close()
        shutil.rmtree(folder, ignore_errors=True)


def measure(strata, folder, wanted):
    figures = []
    missing = kernel_has_netem()
    if missing:
        print("The kernel neither delays nor loses packets here, so the links with a delay are made by TUN devices "
              f"and a process between them, and the kernel's own link has none: {missing}", flush=True)
    kinds = [("veth", lambda spaces, rate, queue, delay: KernelLink(spaces, rate, queue, 0 if missing else delay))]
    if missing:
        kinds.append(("tun", RelayedLink))
    sources = [random_file(folder, name, int(RATE * (SECONDS + WARM_UP + 10))) for name in ("one", "two")]
    print(f"5 MB/s, round trips of 40 ms where the link has a delay; {SECONDS:.0f} s after {WARM_UP:.0f}; {load()}")
    print(f"{'link':8}{'beside':8}{'queue, 40 ms':14}{'downloads':16}{'TCP':8}{'all':8}Jain")
    for kind, make in kinds:
        for control in ("reno", "cubic"):
            for depth in (0.5, 1, 2):
                name = f"fileshare.link.{kind}.{control}.{depth:g}.jain"
                if wanted not in name:
                    continue
                shares = fairness(strata, make, control, depth, sources)
                index = jain(shares)
                print(f"{kind:8}{control:8}{depth:<14g}{shares[0]:<8.3f}{shares[1]:<8.3f}{shares[2]:<8.3f}"
                      f"{sum(shares):<8.3f}{index:.3f}", flush=True)
                figures.append({"name": name, "value": index, "unit": "Jain's index, two downloads and TCP",
                                "baseline": 0.9, "ratio": index / 0.9})
    name = "fileshare.link.lossy.share"
    if wanted in name:
        share, tcp = lossy(strata, RelayedLink if missing else KernelLink, random_file(folder, "lossy", 100_000_000))
        print(f"5 % lost each way, 40 ms, 100 Mbit/s: {share:.3f} of the link for 100 MB, CUBIC alone {tcp:.3f}")
        figures.append({"name": name, "value": share, "unit": "of the link, 100 MB, 5 % lost, 40 ms",
                        "baseline": tcp, "ratio": share / tcp if tcp else 0})
    return figures


def main():
    strata, results = os.path.abspath(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        Spaces().close()
    except Broken as problem:
        print(f"bench-link is left out: {problem}")
        return
    folder = tempfile.mkdtemp(prefix="strata-link-", dir=os.environ.get("PEERS_DIR"))
    try:
        figures = measure(strata, folder, os.environ.get("CASES", ""))
    except Broken as problem:
        raise SystemExit(f"bench-link: {problem}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if figures and results:
        merge(results, figures)
        print(f"written to {results}")


main()
