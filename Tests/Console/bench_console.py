"""Measures the console: how soon it shows something, how many events a second it bears, and what it costs the node.

Run by `make bench-console`; takes the path of the strata command, the file of results, and perhaps how many seconds.
"""
import json, os, shutil, sys, threading, time

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser
from demo import Node, single


def median(values):
    return sorted(values)[len(values) // 2]


def first_view(browser, url, rounds=11):
    """Milliseconds from asking for the page to the frame that shows the rumors, each time in a profile of its own."""
    times = []
    for _ in range(rounds):
        page = browser.page()
        # A page that is there already gives the renderer a start; what is measured is the console's own.
        page.open(Node(url).origin + "/healthz")
        page.until("document.readyState === 'complete'")
        page.open(url)
        page.until("document.querySelector('.lines .vrow')", "the talk is shown")
        times.append(page.run("""(() => performance.getEntriesByName('first-rumor')[0]?.startTime ?? NaN)()"""))
        page.close()
    return times


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
        times = first_view(browser, url)
        print(f"first view: {', '.join(f'{value:.0f}' for value in times)} ms")
        figures.append({"name": "console.firstView.milliseconds", "value": median(times), "unit": "ms"})

        page = browser.page(reduced=False)
        page.open(url)
        page.until("document.querySelector('.lines .vrow')")
        state = "(await import('/console/state.js')).state"
        time.sleep(3)
        before, idle_start = cpu_seconds(process.pid), time.monotonic()
        time.sleep(15)
        idle = (cpu_seconds(process.pid) - before) / (time.monotonic() - idle_start) * 100
        print(f"idle with the console open: the node uses {idle:.2f} % of a core")
        figures.append({"name": "console.idle.nodeCorePercent", "value": idle, "unit": "% of a core"})

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
