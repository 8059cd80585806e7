"""Measures a transfer between two nodes against libtorrent and Syncthing, in turn; `make bench-peers` runs it.

    bench_peers.py STRATA RESULTS

SIZE (1GiB) is what is moved, ROUNDS (5) how often each has its turn, PEERS_DIR where the files are, and
PEERS which take part, such as "strata,libtorrent". Figures of less than 1 GiB are shown but not kept.
"""
import os, re, shutil, signal, sys, tempfile

from libtorrent_peer import Libtorrent
from measure import GIB, MIB, Broken, Source, load, median, merge
from strata_peer import Strata
from syncthing_peer import Syncthing


def bytes_of(text):
    found = re.fullmatch(r"(\d+)\s*(KiB|MiB|GiB|)", text.strip())
    if not found or int(found.group(1)) == 0:
        raise SystemExit(f"SIZE={text} is no size; one is 64MiB or 1GiB")
    return int(found.group(1)) * {"": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": GIB}[found.group(2)]


def one(peer, variant, base, source):
    """One run in a folder of its own, which is gone afterwards; None when it came to nothing."""
    folder = tempfile.mkdtemp(prefix=variant.replace(" ", "-") + "-", dir=base)
    try:
        run = peer.run(variant, folder, source)
    except Broken as problem:
        print(f"  {variant:14} FAILED: {problem}", flush=True)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                with open(os.path.join(folder, name), errors="replace") as file:
                    print("".join(f"    {name}: {line}" for line in file.readlines()[-5:]), end="", flush=True)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    speed = source.size / run.seconds / 1e6
    print(f"  {variant:14} {run.seconds:7.2f} s {speed:7.0f} MB/s {run.cpu * GIB / source.size:6.2f} CPU s/GiB   "
          f"peak {run.sender[0]:.0f} and {run.receiver[0]:.0f} MiB   {run.note}", flush=True)
    return run


def measure(peers, base, source, rounds):
    """The runs of each variant, by round."""
    runs = {variant: [] for peer in peers for variant in peer.variants()}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}, {load()}", flush=True)
        turns = [(peer, variant) for peer in peers for variant in peer.variants()]
        # Nobody always comes first, or always after the same other.
        for peer, variant in turns[number % len(turns):] + turns[:number % len(turns)]:
            runs[variant].append(one(peer, variant, base, source))
    return runs


def table(runs, size):
    rows = [["", "MB/s", "slowest", "fastest", "CPU s/GiB", "peak MiB, giver", "taker", "of it anonymous"]]
    for variant, all_runs in runs.items():
        done = [run for run in all_runs if run]
        if not done:
            rows.append([variant, "failed"] + [""] * 6)
            continue
        speeds = [size / run.seconds / 1e6 for run in done]
        rows.append([
            variant, f"{median(speeds):.0f}", f"{min(speeds):.0f}", f"{max(speeds):.0f}",
            f"{median([run.cpu for run in done]) * GIB / size:.2f}", f"{max(run.sender[0] for run in done):.0f}",
            f"{max(run.receiver[0] for run in done):.0f}",
            f"{max(run.sender[1] for run in done):.0f} and {max(run.receiver[1] for run in done):.0f}"])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                        for place, (cell, width) in enumerate(zip(row, widths))).rstrip())


def speeds(all_runs, size):
    return median([size / run.seconds / 1e6 for run in all_runs if run])


def figures_of(runs, size):
    """The figures by name: a ratio is the median of the ratios round by round."""
    found = []
    whole = {variant: all_runs for variant, all_runs in runs.items() if any(all_runs)}

    def cpu(name, variant):
        value = median([run.cpu for run in whole[variant] if run]) * GIB / size
        found.append({"name": name, "value": value, "unit": "s, both sides"})

    def ratio(name, variant):
        pairs = [(ours, theirs) for ours, theirs in zip(whole["strata"], whole[variant]) if ours and theirs]
        if pairs:
            found.append({
                "name": name, "value": speeds(whole["strata"], size), "unit": "MB/s, between commands",
                "baseline": speeds(whole[variant], size),
                "ratio": median([theirs.seconds / ours.seconds for ours, theirs in pairs])})

    torrents = [variant for variant in whole if variant.startswith("libtorrent")]
    torrent = max(torrents, key=lambda variant: speeds(whole[variant], size), default=None)
    if "strata" in whole:
        cpu("fileshare.transfer.nodes.cpuSecondsPerGiB", "strata")
        resident = max(max(run.sender[0], run.receiver[0]) for run in whole["strata"] if run)
        found.append({
            "name": "fileshare.transfer.nodes.residentMiB", "value": resident, "unit": "MiB, the larger side"})
        if torrent:
            ratio("fileshare.transfer.vsLibtorrent.ratio", torrent)
        if "syncthing" in whole:
            ratio("fileshare.transfer.vsSyncthing.ratio", "syncthing")
    if torrent:
        cpu("fileshare.transfer.libtorrent.cpuSecondsPerGiB", torrent)
    if "syncthing" in whole:
        cpu("fileshare.transfer.syncthing.cpuSecondsPerGiB", "syncthing")
    return found


def takes_part(strata):
    """Who is here and wanted; says what is left out."""
    wanted = [name for name in os.environ.get("PEERS", "").split(",") if name]
    peers = [strata] if not wanted or "strata" in wanted else []
    for peer, figure, how in (
        (Libtorrent(sys.executable), "vsLibtorrent", "the package libtorrent of PyPI could not be installed"),
        (Syncthing(), "vsSyncthing", "syncthing is not installed (apt-get install syncthing)"),
    ):
        if wanted and peer.name not in wanted:
            continue
        version = peer.version()
        if version:
            print(f"{peer.name} {version}")
            peers.append(peer)
        else:
            print(f"left out: fileshare.transfer.{figure}.ratio, since {how}")
    return peers


def main():
    # So that what was begun is ended, too, when this is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command, results = os.path.abspath(sys.argv[1]), sys.argv[2]
    size, rounds = bytes_of(os.environ.get("SIZE") or "1GiB"), int(os.environ.get("ROUNDS") or 5)
    place = os.environ.get("PEERS_DIR") or os.path.dirname(os.path.dirname(sys.executable))
    peers = takes_part(Strata(command))
    needed = 3 * size + GIB
    if shutil.disk_usage(place).free < needed:
        raise SystemExit(f"{place} has less than the {needed >> 20} MiB that are needed; PEERS_DIR is another place")
    base = tempfile.mkdtemp(prefix="strata-peers-", dir=place)
    try:
        print(f"making {size / MIB:.0f} MiB of random bytes in {base}", flush=True)
        source = Source(base, size)
        for peer in peers:
            if peer.name != "strata":
                peer.prepare(source)
        runs = measure(peers, base, source, rounds)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print()
    table(runs, size)
    print()
    found = figures_of(runs, size)
    for figure in found:
        print(f"{figure['name']:52} {figure.get('ratio', figure['value']):8.2f}")
    if size < GIB:
        print(f"not kept: these figures are of 1 GiB, and this was {size / MIB:.0f} MiB")
    else:
        merge(results, found)
        print(f"written to {results}")
    return 0 if all(all(all_runs) for all_runs in runs.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
