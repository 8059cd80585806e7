"""A link between network namespaces, with a rate and a queue; where the kernel can't delay or lose, we do."""
import ctypes, fcntl, heapq, os, random, select, struct, subprocess, sys, time

from measure import Broken, die_with_parent

HERE = os.path.abspath(__file__)
GIVER, TAKER = "10.77.0.1", "10.77.1.2"


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
    """Three network namespaces that go away with it: the giver's, the takers', and one for what stands between."""

    def __init__(self):
        self.names = []
        if os.geteuid() != 0:
            raise Broken("network namespaces are made by root only")
        try:
            for side in ("giver", "taker", "between"):
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
    """A router between the two with the kernel's token bucket on its way to the takers.

    It is no end of any flow: what waits in a host's own queue, its TCP holds back by itself, but not its UDP.
    """

    def __init__(self, spaces, rate, queue, delay=0.0, loss=0.0):
        self.spaces = spaces
        first, second, router = spaces.names
        try:
            for name, port, address in ((first, "left", GIVER), (second, "right", TAKER)):
                command("ip", "-n", router, "link", "add", port, "type", "veth", "peer", "name", "wire", "netns", name)
                gateway = address.rsplit(".", 1)[0] + ".254"
                for space, device, own in ((name, "wire", address), (router, port, gateway)):
                    # Each packet by itself, as on a cable.
                    command("ip", "-n", space, "link", "set", device, "gso_max_segs", "1")
                    command("ip", "-n", space, "address", "add", f"{own}/24", "dev", device)
                    command("ip", "-n", space, "link", "set", device, "up")
                command("ip", "-n", name, "route", "add", "default", "via", gateway)
            command("ip", "netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            add = ["tc", "-n", router, "qdisc", "add", "dev"]
            if loss:
                chance = ["netem", "delay", f"{delay * 1000}ms", "loss", f"{loss * 100}%"]
                most = str(max(10, queue // 1500 + int(rate * delay / 1500)))
                command(*add, "right", "root", *chance, "rate", f"{rate * 8}bit", "limit", most)
                command(*add, "left", "root", *chance)
                return
            command(*add, "right", "root", "tbf", "rate", f"{rate * 8}bit", "burst", "5000", "limit", str(queue))
            if delay:
                # All of the round trip on the way back, which carries little.
                command(*add, "left", "root", "netem", "delay", f"{2 * delay * 1000}ms", "limit", "100000")
        except Broken:
            self.close()
            raise

    def close(self):
        for port in ("left", "right"):
            subprocess.run(["ip", "-n", self.spaces.names[2], "link", "del", port], capture_output=True)


class RelayedLink:
    """Two TUN devices and a process between them, which has the rate, the queue, the delay and the losses."""

    def __init__(self, spaces, rate, queue, delay=0.0, loss=0.0):
        words = [sys.executable, HERE, *spaces.names[:2], str(rate), str(queue), str(delay), str(loss)]
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
