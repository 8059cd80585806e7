"""What the measurements share: processes with their processor time and memory, files to move, the file of figures."""
import ctypes, hashlib, json, os, signal, subprocess, time

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
GIB = 1 << 30


class Broken(Exception):
    """A run that came to nothing, and why."""


def die_with_parent():
    """In a child before it becomes another program: it ends when this one does, however that comes."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Side:
    """One side of a transfer: a program with all that it starts, in a session of its own."""

    def __init__(self, words, **options):
        self.process = subprocess.Popen(words, start_new_session=True, preexec_fn=die_with_parent, **options)

    def members(self):
        """The processes of its session that still run, with the fields of their `stat` after the name."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append((int(name), fields))
        return found

    def cpu(self):
        """The processor seconds that it has used."""
        return sum(int(fields[11]) + int(fields[12]) for _, fields in self.members()) / TICKS

    def forget_peak(self):
        """Lets the peak of the resident memory begin anew."""
        for pid, _ in self.members():
            with open(f"/proc/{pid}/clear_refs", "w") as file:
                file.write("5")

    def peak(self):
        """The most memory that was resident, in MiB: of it all, and of what is not a file's (at this instant)."""
        most = own = 0
        for pid, _ in self.members():
            with open(f"/proc/{pid}/status") as file:
                lines = dict(line.split(":", 1) for line in file if ":" in line)
            most += int(lines.get("VmHWM", "0 kB").split()[0])
            own += int(lines.get("RssAnon", "0 kB").split()[0])
        return most / 1024, own / 1024

    def close(self, patience=10):
        """Ends it as a person would, and by force when it doesn't."""
        for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
            for pid, _ in self.members():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                continue
            if not self.members():
                break
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


class Run:
    """One transfer: its seconds, the processor seconds of both sides, the peaks of memory (MiB) of each."""

    def __init__(self, seconds, cpu, sender, receiver, note=""):
        self.seconds, self.cpu, self.sender, self.receiver, self.note = seconds, cpu, sender, receiver, note


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path, source):
    """Whether what has arrived is what was sent; outside of every clock."""
    if os.path.getsize(path) != source.size or digest(path) != source.digest:
        raise Broken(f"{path} is not what was sent")


class Source:
    """The file that is moved: random bytes, in the page cache."""

    def __init__(self, folder, size):
        self.path, self.size = os.path.join(folder, "random.bin"), size
        left = size
        with open(self.path, "wb") as file:
            while left:
                piece = os.urandom(min(left, 4 * MIB))
                file.write(piece)
                left -= len(piece)
        self.digest = digest(self.path)

    def settle(self):
        """Reads the file and waits for the disk, so that each run begins with the same."""
        os.sync()
        with open(self.path, "rb") as file:
            while file.read(4 * MIB):
                pass


def wait_for(what, condition, seconds, pause=0.001, alive=()):
    """Waits until the condition gives something true, and gives it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        for side in alive:
            if side.process.poll() is not None:
                raise Broken(f"{what}: a program ended by itself, with {side.process.returncode}")
        if time.monotonic() > end:
            raise Broken(f"{what}: nothing within {seconds:.0f} s")
        time.sleep(pause)


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def merge(path, figures):
    """Puts the figures in the file, in the place of older ones of their names."""
    known = []
    if os.path.exists(path):
        with open(path) as file:
            known = json.load(file)
    fresh = {figure["name"]: figure for figure in figures}
    kept = [fresh.pop(item["name"], item) for item in known]
    with open(path + ".tmp", "w") as file:
        json.dump(kept + list(fresh.values()), file, indent=2, ensure_ascii=False)
        file.write("\n")
    os.replace(path + ".tmp", path)


def load():
    return "load " + " ".join(f"{value:.1f}" for value in os.getloadavg())
