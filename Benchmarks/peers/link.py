"""A link between two network namespaces, with a rate and a queue; where the kernel can't delay or lose, we do."""
import ctypes, fcntl, heapq, os, random, select, struct, subprocess, sys, time

from measure import Broken, die_with_parent

HERE = os.path.abspath(__file__)
GIVER, TAKER = "10.77.0.1", "10.77.0.2"


def command(*words):
    """Runs a command; Broken with what it said when it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise Broken(f"there is no command {words[0]}; on Debian: apt-get install iproute2")
    if done.returncode:
        raise Broken(f"`{' '.join(words)}` fails: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Spaces:
    """Two network namespaces that go away with it."""

    def __init__(self):
        self.names = []
        if os.geteuid() != 0:
            raise Broken("network namespaces are made by root only")
        try:
            for side in "ab":
                name = f"strata-{os.getpid()}-{side}"
                command("ip", "netns", "add", name)
                self.names.append(name)
                command("ip", "-n", name, "link", "set", "lo", "up")
        except Broken:
            self.close()
            raise

    def inside(self, side):
        """What stands before a command that is to run on a side: 0 gives, 1 takes."""
        return ["ip", "netns", "exec", self.names[side]]

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        self.names = []


class KernelLink:
    """A pair of virtual Ethernet devices with the kernel's token bucket on the giver's end."""

    def __init__(self, spaces, rate, queue, delay=0.0, loss=0.0):
        self.spaces = spaces
        first, second = spaces.names
        try:
            command("ip", "-n", first, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", second)
            for name, address in ((first, GIVER), (second, TAKER)):
                # Each packet by itself, as on a cable.
                command("ip", "-n", name, "link", "set", "wire", "gso_max_segs", "1")
                command("ip", "-n", name, "address", "add", f"{address}/24", "dev", "wire")
                command("ip", "-n", name, "link", "set", "wire", "up")
            if loss:
                for name in (first, second):
                    more = ["rate", f"{rate * 8}bit", "limit", str(max(10, queue // 1500))] if name == first else []
                    command("tc", "-n", name, "qdisc", "add", "dev", "wire", "root", "netem",
                            "delay", f"{delay * 1000}ms", "loss", f"{loss * 100}%", *more)
                return
            command("tc", "-n", first, "qdisc", "add", "dev", "wire", "root", "tbf", "rate", f"{rate * 8}bit",
                    "burst", "5000", "limit", str(queue))
            if delay:
                # All of the round trip on the way back, which carries little.
                command("tc", "-n", second, "qdisc", "add", "dev", "wire", "root", "netem",
                        "delay", f"{2 * delay * 1000}ms", "limit", "100000")
        except Broken:
            self.close()
            raise

    def close(self):
        subprocess.run(["ip", "-n", self.spaces.names[0], "link", "del", "wire"], capture_output=True)


class RelayedLink:
    """Two TUN devices and a process between them, which has the rate, the queue, the delay and the losses."""

    def __init__(self, spaces, rate, queue, delay=0.0, loss=0.0):
        words = [sys.executable, HERE, *spaces.names, str(rate), str(queue), str(delay), str(loss)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        if self.process.stdout.readline().strip() != "ready":
            self.close()
            raise Broken("no TUN devices could be made; see above")
        for name, address, other in ((spaces.names[0], GIVER, TAKER), (spaces.names[1], TAKER, GIVER)):
            command("ip", "-n", name, "address", "add", address, "peer", other, "dev", "wire")
            command("ip", "-n", name, "link", "set", "wire", "up", "txqueuelen", "2000")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def kernel_has_netem():
    """Whether the kernel can delay and lose packets; else what it says."""
    spaces = Spaces()
    try:
        command("tc", "-n", spaces.names[0], "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
        return None
    except Broken as problem:
        return str(problem)
    finally:
        spaces.close()


def tun_device(space):
    """A TUN device named `wire` in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/var/run/netns/{space}") as there:
        if libc.setns(there.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"setns {space}")
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            # TUN without the packet information.
            fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"wire", 0x0001 | 0x1000))
        finally:
            libc.setns(home.fileno(), 0x40000000)
    return device


def relay(spaces, rate, queue, delay, loss):
    """Carries packets between the devices; the way from the first to the second has the rate and the queue."""
    devices = [tun_device(space) for space in spaces]
    print("ready", flush=True)
    chance, waiting, order, free = random.Random(1), [], 0, 0.0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select(devices, [], [], pause)
        for device in ready:
            way = devices.index(device)
            for _ in range(64):
                try:
                    packet = os.read(device, 2048)
                except BlockingIOError:
                    break
                now = time.monotonic()
                if loss and chance.random() < loss:
                    continue
                leaves = now
                if way == 0:
                    start = max(free, now)
                    if (start - now) * rate + len(packet) > queue:
                        continue
                    leaves = free = start + len(packet) / rate
                order += 1
                heapq.heappush(waiting, (leaves + delay, order, 1 - way, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(devices[to], packet)
            except OSError:
                pass


if __name__ == "__main__":
    relay(sys.argv[1:3], *(float(word) for word in sys.argv[3:7]))
