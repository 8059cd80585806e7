"""Measures the console: how soon it shows something, how many events a second it bears, and what it costs the node.

Run by `make bench-console`; takes the path of the strata command, the file of results, and perhaps how many seconds.
"""
import json, os, shutil, sys, threading, time

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser, module
from demo import Node, single


def median(values):
    return sorted(values)[len(values) // 2]


SEEN = """(() => {
  const at = performance.getEntriesByName('first-rumor')[0]?.startTime ?? NaN;
  return [at, 1 + performance.getEntriesByType('resource').filter((one) => one.startTime <= at).length];
})()"""


def first_view(browser, url, rounds):
    """Milliseconds from the start of the navigation to the frame that shows the rumors: in a profile of its own each time,
    and in the same again; and how many requests were begun until then."""
    first, again, requests = [], [], []
    for _ in range(rounds):
        page = browser.page()
        for times in (first, again):
            # A browser opens a window with pages of its own, which take seconds; what is measured is the console's.
            page.open(Node(url).origin + "/healthz")
            page.until("document.readyState === 'complete' && location.pathname === '/healthz'")
            time.sleep(1.5)
            page.open(url)
            page.until("performance.getEntriesByName('first-rumor').length", "the talk is shown")
            shown, asked = page.run(SEEN)
            times.append(shown)
            requests.append(asked)
        page.close()
    return first, again, requests


def cpu_seconds(pid):
    """What a process has had of the processor."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def share(pid, seconds):
    """How much of a core a process uses, in percent."""
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - start) * 100


def idle(strata, browser, seconds):
    """What a node with two neighbours, among whom nobody says anything, uses without a console and with one."""
    running = []
    try:
        layers = {"gossip": {}, "routing": {}, "fileshare": {}, "search": {}}
        for name in ("left", "right", "middle"):
            peers = [Node(url).ask("GET", "/v1/node")[1]["address"] for _, url, _ in running]
            running.append(single(strata, {
                "name": name, "listen": "127.0.0.1:0", "control": "127.0.0.1:0", "peers": peers, "layers": layers}))
        process, url, _ = running[-1]
        time.sleep(5)
        without = share(process.pid, seconds)
        page = browser.page(reduced=False)
        page.open(url)
        page.until("document.documentElement.dataset.ready")
        page.run("location.hash = '#/network'")
        page.until("document.querySelectorAll('.spark').length === 2", "both neighbours are measured", 30)
        used = share(process.pid, seconds)
        page.close()
        return without, used
    finally:
        for process, _, folder in running:
            process.terminate()
            process.wait()
            process.stdout.close()
            shutil.rmtree(folder, ignore_errors=True)


WATCH = """(() => {
  const w = window.watched = { gaps: [], last: performance.now(), on: true };
  const tick = (now) => { w.gaps.push(now - w.last); w.last = now; if (w.on) requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
})()"""


def heap(page):
    page.ask("HeapProfiler.collectGarbage", timeout=60)
    return page.ask("Runtime.getHeapUsage")["usedSize"] / 2**20


def main():
    strata, results = os.path.abspath(sys.argv[1]), sys.argv[2]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60
    process, url, folder = single(strata, {
        "name": "bench", "listen": "127.0.0.1:0", "control": "127.0.0.1:0", "layers": {"gossip": {}, "routing": {}}})
    browser = Browser()
    figures = []
    try:
        node = Node(url)
        for number in range(50):
            node.ask("POST", "/v1/gossip/publish", {"text": f"Line {number}, as long as lines are in a talk of this sort."})
        first, again, requests = first_view(browser, url, 21)
        for name, times in (("firstView", first), ("againView", again)):
            print(f"{name}: median {median(times):.0f}, of {', '.join(f'{value:.0f}' for value in sorted(times))} ms")
            figures.append({"name": f"console.{name}.milliseconds", "value": median(times), "unit": "ms"})
        figures.append({"name": "console.firstView.requests", "value": max(requests), "unit": "requests"})

        page = browser.page(reduced=False)
        page.open(url)
        page.until("document.querySelector('.lines .vrow')")
        state = module("state") + ".state"
        time.sleep(3)
        # As many events as are wanted: each rumor that is published is one.
        wanted, stop = 550, threading.Event()
        heap_before = heap(page)
        seen_before = page.run(f"(async () => {state}.eventsSeen)()")
        page.run(WATCH)

        def publish():
            mine, begun, count = Node(url), time.monotonic(), 0
            while not stop.is_set():
                due = int((time.monotonic() - begun) * wanted)
                while count < due and not stop.is_set():
                    mine.ask("POST", "/v1/gossip/publish", {"text": f"Number {count} of many, a line like others."})
                    count += 1
                time.sleep(0.002)

        thread = threading.Thread(target=publish)
        start = time.monotonic()
        thread.start()
        answers = []
        while time.monotonic() - start < seconds:
            asked = time.monotonic()
            page.run("1 + 1")
            answers.append((time.monotonic() - asked) * 1000)
            time.sleep(0.25)
        stop.set()
        thread.join()
        passed = time.monotonic() - start
        page.run("watched.on = false")
        seen = page.run(f"(async () => {state}.eventsSeen)()") - seen_before
        gaps = sorted(page.run("watched.gaps"))
        heap_after = heap(page)
        rows = page.run("document.querySelectorAll('*').length")
        print(f"{seen / passed:.0f} events a second for {passed:.0f} s; frames: median {median(gaps):.0f} ms, "
              f"99 % within {gaps[int(len(gaps) * 0.99)]:.0f} ms, worst {gaps[-1]:.0f} ms; "
              f"the page answers within {sorted(answers)[int(len(answers) * 0.99)]:.0f} ms (99 %); "
              f"heap {heap_before:.1f} -> {heap_after:.1f} MiB, {rows} elements")
        # A rate only counts as borne when the page stayed in hand.
        if gaps[int(len(gaps) * 0.99)] > 200:
            raise SystemExit("the page did not stay responsive")
        figures.append({"name": "console.events.perSecondSustained", "value": seen / passed, "unit": "events/s"})
        figures.append({"name": "console.events.frameMilliseconds99", "value": gaps[int(len(gaps) * 0.99)], "unit": "ms"})
        figures.append({"name": "console.events.heapMiB", "value": heap_after, "unit": "MiB"})
        page.close()
        without, used = idle(strata, browser, seconds)
        print(f"an idle node uses {without:.3f} % of a core, and {used:.3f} % with the console open at Network")
        figures.append({"name": "console.idle.withoutPercent", "value": without, "unit": "% of a core"})
        figures.append({"name": "console.idle.nodeCorePercent", "value": used, "unit": "% of a core"})
    finally:
        browser.close()
        process.terminate()
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)
    merge(results, figures)


def merge(path, figures):
    """Puts the figures in the file, in the place of older ones of their names."""
    known = []
    if os.path.exists(path):
        with open(path) as file:
            known = json.load(file)
    names = [figure["name"] for figure in figures]
    with open(path + ".tmp", "w") as file:
        json.dump([item for item in known if item["name"] not in names] + figures, file, indent=2, ensure_ascii=False)
        file.write("\n")
    os.replace(path + ".tmp", path)


if __name__ == "__main__":
    main()
