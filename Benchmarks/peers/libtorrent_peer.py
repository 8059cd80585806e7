"""Moves a file between two libtorrent 2.x sessions, each in a process of its own, by a v1 and by a v2 torrent."""
import os, subprocess

from measure import Broken, Run, Side, check

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libtorrent_side.py")


class Libtorrent:
    name = "libtorrent"

    def __init__(self, python):
        self.python = python
        # Its older names are what all of 2.x has.
        self.words = [python, "-W", "ignore::DeprecationWarning", SCRIPT]

    def variants(self):
        return ["libtorrent v1", "libtorrent v2"]

    def version(self):
        """Its version; None when it isn't installed."""
        try:
            done = subprocess.run([self.python, "-c", "import libtorrent; print(libtorrent.__version__)"],
                                  capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() or None

    def prepare(self, source):
        """Makes the torrents, once."""
        for variant in self.variants():
            words = [*self.words, "make", source.path, self.torrent(source, variant), variant.split()[1]]
            subprocess.run(words, check=True)

    def torrent(self, source, variant):
        return f"{source.path}.{variant.split()[1]}.torrent"

    def side(self, folder, *words):
        log = open(os.path.join(folder, f"{words[0]}.log"), "wb")
        side = Side([*self.words, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        return side

    def line(self, side, what):
        line = side.process.stdout.readline().strip()
        if not line:
            raise Broken(f"libtorrent: {what} ended by itself")
        return line

    def run(self, variant, folder, source):
        torrent, sides = self.torrent(source, variant), []
        try:
            sides.append(self.side(folder, "give", os.path.dirname(source.path), torrent))
            port = self.line(sides[0], "the giver")
            sides.append(self.side(folder, "take", folder, torrent))
            self.line(sides[1], "the taker")
            source.settle()
            for side in sides:
                side.forget_peak()
            cpu = sum(side.cpu() for side in sides)
            print(port, file=sides[1].process.stdin, flush=True)
            seconds, finished = map(float, self.line(sides[1], "the taker").split())
            cpu = sum(side.cpu() for side in sides) - cpu
            peaks = [side.peak() for side in sides]
            check(os.path.join(folder, os.path.basename(source.path)), source)
            return Run(seconds, cpu, *peaks, note=f"{finished:.2f} s until it said finished")
        finally:
            for side in sides:
                side.close()
