"""Drives the console in a headless Chromium against a real demo network, as a person would.

Run by `make test-console`; takes the path of the strata command, and a folder for pictures if they are wanted.
"""
import os, shutil, signal, subprocess, sys, tempfile, time, traceback

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser, module
from demo import Demo, Node, ROOT, single

TESTS = []


def test(body):
    TESTS.append(body)
    return body


class World:
    """What the tests share: a browser, a network, and a page a node."""

    def __init__(self, strata):
        self.strata = strata
        # Pictures look better with some talk going on.
        self.demo = Demo(strata, quiet="CONSOLE_PICTURES" not in os.environ)
        try:
            self.browser = Browser()
        except BaseException:
            self.demo.close()
            raise
        self.pages = {}

    def page(self, name, **options):
        key = (name, tuple(sorted(options.items())))
        if key not in self.pages:
            page = self.browser.page(**options)
            page.open(self.demo.urls[name])
            page.until("document.documentElement.dataset.ready", f"{name}'s console")
            self.pages[key] = page
        return self.pages[key]

    def go(self, page, place):
        page.run(f"location.hash = {place!r}")

    def close(self):
        self.browser.close()
        return self.demo.close()


def shows(page, text, where="document.body", seconds=20):
    page.until(f"{where}.innerText.includes({text!r})", f"{text!r} is shown", seconds)


def fill(page, selector, text):
    """Puts text in a field as if it were typed."""
    page.until(f"document.querySelector({selector!r})", selector)
    page.run(f"(() => {{ const f = document.querySelector({selector!r}); f.focus(); f.select?.(); }})()")
    page.type(text)


def say(page, text, topic=None):
    if topic:
        fill(page, ".topic-input", topic)
    fill(page, "#say", text)
    page.press("Enter", text="\r")


@test
def the_token_leaves_the_address(world):
    page = world.browser.page()
    page.open(world.demo.urls["ada"])
    page.until("document.documentElement.dataset.ready")
    assert "token" not in page.run("location.href")
    assert page.run("sessionStorage.getItem('strata.token')?.length") == 64
    assert page.run("history.length") <= 2
    page.close()


@test
def without_the_right_token_nothing_is_shown(world):
    page = world.browser.page()
    page.open(world.demo.node("ada").origin + "/#token=" + "0" * 64)
    page.until("document.getElementById('token')", "the page asks for the token")
    assert "bela" not in page.run("document.body.innerText")
    page.close()


@test
def what_one_says_all_hear(world):
    ada, finn = world.page("ada"), world.page("finn")
    world.go(ada, "#/talk")
    world.go(finn, "#/talk")
    say(ada, "Is anybody there?")
    shows(ada, "Is anybody there?")
    shows(finn, "Is anybody there?")
    assert finn.run("document.querySelector('.lines').innerText.includes('nodes between') || "
                    "document.querySelector('.lines').innerText.includes('by way of')")
    say(finn, "Rain out here.", topic="weather")
    shows(ada, "#weather")
    world.go(ada, "#/talk/topic/weather")
    shows(ada, "Rain out here.")
    assert not ada.run("document.querySelector('.lines').innerText.includes('anybody')")


@test
def script_in_a_message_stays_text(world):
    ada, dora = world.page("ada"), world.page("dora")
    world.go(ada, "#/talk")
    world.go(dora, "#/talk")
    evil = "<img src=x onerror='window.caught=1'><script>window.caught=1</script>"
    say(ada, evil, topic="<b>bold</b>")
    shows(dora, evil)
    assert dora.run("document.querySelectorAll('.lines img, .lines script, .lines b').length") == 0
    assert dora.run("window.caught === undefined") and ada.run("window.caught === undefined")


@test
def a_private_message_arrives_and_is_confirmed(world):
    ada, dora = world.page("ada"), world.page("dora")
    shows(ada, "dora")
    world.go(ada, "#/talk/with/dora")
    shows(ada, "next hop", "document.querySelector('.thread-head')", 40)
    say(ada, "For your eyes only")
    shows(ada, "delivered", "document.querySelector('.bubbles')")
    world.go(dora, "#/talk/with/ada")
    shows(dora, "For your eyes only", "document.querySelector('.bubbles')")
    world.go(ada, "#/talk/with/nobody")
    say(ada, "Anyone?")
    shows(ada, "no way there", "document.querySelector('.bubbles')")


@test
def the_network_is_drawn_and_packets_show_their_fields(world):
    ada = world.page("ada")
    world.go(ada, "#/network")
    # Whom a file was fetched from has become a neighbour besides.
    ada.until("document.querySelectorAll('.graph-node.neighbour').length >= 2", "two neighbours")
    ada.until("document.querySelectorAll('.graph-node').length === 6 && document.querySelector('.graph-node.far')", "all six", 40)
    # Of many packets at once only some are shown with their fields, so it is said until one is.
    for _ in range(20):
        world.demo.node("bela").ask("POST", "/v1/gossip/publish", {"text": "look at this packet"})
        try:
            shows(ada, "look at this packet", "document.querySelector('.packets')", 2)
            break
        except AssertionError:
            pass
    ada.run("[...document.querySelectorAll('.packet')].find(p => p.innerText.includes('look at this')).click()")
    shows(ada, "look at this packet", "document.querySelector('dialog')")
    shows(ada, "origin", "document.querySelector('dialog')")
    ada.press("Escape")
    ada.until("!document.querySelector('dialog')", "Escape closes it")
    # Round trips are measured as long as somebody looks, and each neighbour has its losses.
    row = "[...document.querySelectorAll('[aria-label=Neighbours] tbody tr')].find((one) => one.innerText.includes('bela'))"
    ada.until(f"{row}?.querySelector('.spark')", "several round trips are drawn", 30)
    ada.until(f"/(µs|ms)/.test({row}.cells[2].innerText) && {row}.cells[3].innerText === '0 %'", "a round trip, and no loss")
    ada.until("[...document.querySelectorAll('.graph-trip')].some((one) => /(µs|ms)/.test(one.textContent))", "and beside the line")
    bela = lambda: next(one for one in world.demo.node("ada").ask("GET", "/v1/neighbours")[1]["neighbours"] if one["claimedName"] == "bela")
    before = bela()["measured"]
    world.go(ada, "#/talk")
    time.sleep(14)
    after = bela()["measured"]
    time.sleep(4)
    assert before < after == bela()["measured"], "nobody looks, so nothing is measured"


@test
def a_node_that_is_killed_is_seen_gone(world):
    ada = world.page("ada")
    _, home = world.demo.node("ada").ask("GET", "/v1/node")
    process, _, folder = single(world.strata, {
        "name": "gus", "listen": "127.0.0.1:0", "peers": [home["address"]], "control": "127.0.0.1:0",
        "layers": {"gossip": {"antiEntropy": "1s"}, "routing": {"routeRumor": "2s"}}})
    try:
        world.go(ada, "#/network")
        row = "[...document.querySelectorAll('tr')].find(r => r.innerText.includes('gus'))"
        ada.until(f"{row} && !{row}.innerText.includes('silent')", "gus is a neighbour", 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ada.until(f"{row}?.innerText.includes('silent')", "gus is silent", 40)
        ada.until("document.querySelector('.graph-node.silent')", "and drawn so")
        ada.until(f"/^([2-9][0-9]|100) %$/.test({row}.cells[3].innerText)", "its losses grow", 40)
    finally:
        process.kill()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


@test
def a_layer_is_switched_off_and_on(world):
    cleo = world.page("cleo")
    world.go(cleo, "#/talk")
    shows(cleo, "Private")
    world.go(cleo, "#/node")
    cleo.until("document.querySelector('[aria-label=\"Layer routing\"][role=switch]')")
    cleo.run("document.querySelector('[aria-label=\"Layer routing\"][role=switch]').click()")
    cleo.until("!document.querySelector('.nav [data-id=\"layer/routing\"]')", "routing goes from the page")
    world.go(cleo, "#/talk")
    cleo.until("document.querySelector('.threads') && !document.querySelector('.threads').innerText.includes('Private')")
    status, problem = world.demo.node("cleo").ask("POST", "/v1/routing/routes", {})
    assert status == 404, (status, problem)
    world.go(cleo, "#/node")
    cleo.until("document.querySelector('[aria-label=\"Layer routing\"][role=switch]:not(:checked)')")
    # What needs it says so: gossip can't go while routing is on.
    cleo.run("document.querySelector('[aria-label=\"Layer routing\"][role=switch]').click()")
    cleo.until("document.querySelector('.nav [data-id=\"layer/routing\"]')", "routing is back")
    cleo.until("document.querySelector('[aria-label=\"Layer gossip\"][role=switch]:checked:enabled')")
    cleo.run("document.querySelector('[aria-label=\"Layer gossip\"][role=switch]').click()")
    shows(cleo, 'no layer that provides "gossip", which it needs')


@test
def a_setting_is_refused_with_its_reason_and_taken_when_right(world):
    dora = world.page("dora")
    world.go(dora, "#/node")
    field = "document.querySelector('[data-path=\"layers.gossip.ackTimeout\"]')"
    dora.until(field)
    dora.run(f"{field}.closest('details').open = true")
    fill(dora, "[data-path='layers.gossip.ackTimeout'] input", "-3s")
    dora.run(f"{field}.requestSubmit()")
    shows(dora, 'found "-3s", expected a duration from 1ms to 1h', field)
    fill(dora, "[data-path='layers.gossip.ackTimeout'] input", "3s")
    dora.run(f"{field}.requestSubmit()")
    shows(dora, "Saved, and in force now.")
    with open(os.path.join(world.demo.folder, "dora.json")) as file:
        assert '"ackTimeout": "3s"' in file.read()


@test
def commands_are_forms(world):
    ada = world.page("ada")
    world.go(ada, "#/layer/gossip")
    ada.until("document.querySelector('[data-command=publish]')")
    ada.run("document.querySelector('[data-command=publish]').open = true")
    fill(ada, "[data-command=publish] textarea", "said by a form")
    ada.run("document.querySelector('[data-command=publish] form').requestSubmit()")
    shows(ada, "origin", "document.querySelector('[data-command=publish] .result')")
    shows(ada, "rumor", "document.querySelector('.events')")
    ada.run("document.querySelector('[data-command=publish] textarea').value = ''")
    ada.run("document.querySelector('[data-command=publish] form').requestSubmit()")
    shows(ada, "text", "document.querySelector('[data-command=publish] .result .fault')")


@test
def layers_of_others_appear_by_themselves(world):
    program = os.path.join(ROOT, "examples", "EchoLayer", ".build", "debug", "EchoNode")
    if not os.path.exists(program):
        return "skipped: the example is not built"
    process, url, folder = single(program, {
        "name": "tess", "listen": "127.0.0.1:0", "control": "127.0.0.1:0", "layers": {"echo": {}, "guestbook": {}}})
    page = world.browser.page()
    try:
        page.open(url)
        page.until("document.querySelector('.nav [data-id=\"layer/guestbook\"]')", "the guestbook is there")
        assert not page.run("document.querySelector('.nav [data-id=talk]')"), "no gossip, no talk"
        world.go(page, "#/layer/guestbook")
        page.until("document.querySelector('[data-command=sign]')")
        page.run("document.querySelector('[data-command=sign]').open = true")
        fill(page, "[data-command=sign] input, [data-command=sign] textarea", "a form signs")
        page.run("document.querySelector('[data-command=sign] form').requestSubmit()")
        shows(page, "number", "document.querySelector('[data-command=sign] .result')")
        shows(page, "a form signs", "document.querySelector('.events')")
    finally:
        page.close()
        process.kill()
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def files_page(world, name, **options):
    page = world.page(name, **options)
    world.go(page, "#/files")
    page.until("document.querySelector('#words')", f"{name}'s files")
    return page


def press(page, where, label):
    """Presses a button by its label, once it is there."""
    found = f"[...document.querySelectorAll({where + ' button'!r})].find((one) => (one.getAttribute('aria-label') ?? one.innerText).includes({label!r}))"
    page.until(found, f"a button {label!r}")
    page.run(f"{found}.click()")


def look_for(page, words):
    fill(page, "#words", words)
    page.run("document.querySelector('.search-form').requestSubmit()")


@test
def a_file_is_shared_by_its_path_found_and_fetched_whole(world):
    folder = tempfile.mkdtemp(prefix="strata-console-")
    try:
        content = os.urandom(300000)
        name = "b<img src=x onerror='window.caught=1'>.txt"
        with open(os.path.join(folder, name.replace("/", "")), "wb") as file:
            file.write(content)
        dora, ada = files_page(world, "dora"), files_page(world, "ada")
        fill(dora, "#share-path", "relative/path")
        dora.run("document.querySelector('.share-form').requestSubmit()")
        shows(dora, "give the whole path", "document.querySelector('.drop')")
        fill(dora, "#share-path", folder)
        dora.run("document.querySelector('.share-form').requestSubmit()")
        shows(dora, "onerror", "document.querySelector('.shared')")
        look_for(ada, "onerror")
        shows(ada, "onerror", "document.querySelector('.found')")
        shows(ada, "dora", "document.querySelector('.found')")
        press(ada, ".found", "Download b")
        row = "[...document.querySelectorAll('.download')].find((one) => one.innerText.includes('onerror'))"
        ada.until(f"{row}?.innerText.includes('finished')", "it is fetched", 30)
        root = ada.run(f"{row}.dataset.root")
        node = world.demo.node("ada")
        status, bytes_ = node.raw(f"/v1/fileshare/content/{root}")
        assert status == 200 and bytes_ == content, "the right bytes have come"
        assert ada.run("window.caught === undefined") and not ada.run("!!document.querySelector('.download img')")
        press(dora, ".shares", "Unshare " + folder)
        dora.until("!document.querySelector('.shared').innerText.includes('onerror')", "it is shared no more")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@test
def a_file_is_shown_while_it_is_fetched(world):
    ada = files_page(world, "ada")
    look_for(ada, "evening hills")
    shows(ada, "2 holders", "document.querySelector('.found')")
    shows(ada, "emil", "document.querySelector('.found')")
    press(ada, ".found", "Show evening-hills.png")
    ada.until("document.querySelector('.preview img')?.naturalWidth === 960", "the picture is shown")
    assert "ticket=" in ada.run("document.querySelector('.preview img').src")
    look_for(ada, "chime")
    press(ada, ".found", "Play gate-chime.wav")
    ada.until("document.querySelector('.preview audio')?.duration > 8.9", "the chime can be played")
    ada.run("document.querySelector('.preview audio').currentTime = 6")
    ada.until("document.querySelector('.preview audio').currentTime >= 6 && document.querySelector('.preview audio').readyState >= 2", "from any place")
    look_for(ada, "library van")
    press(ada, ".found", "Read wishes-for-the-library-van.txt")
    shows(ada, "a road atlas", "document.querySelector('.preview')")
    press(ada, ".preview", "Close")
    ada.until("!document.querySelector('.preview')")


@test
def recent_queries_stand_in_the_stats(world):
    ada, bela = files_page(world, "ada"), world.page("bela")
    # As a flood, which goes to all: whom a ring asks is a matter of chance.
    ada.run("document.querySelector('.search-form select').value = 'flood'")
    look_for(ada, "planting calendar")
    shows(ada, "planting-calendar.csv", "document.querySelector('.found')")
    world.go(ada, "#/stats")
    table = "document.querySelector('[aria-label=\"Recent queries\"] tbody')"
    shows(ada, "planting calendar", table)
    shows(ada, "this node", table)
    line = f"[...{table}.rows].find((row) => row.innerText.includes('planting calendar')).innerText"
    ada.until(f"/planting-calendar.csv\\s*[0-9a-f]{{12}}\\s*at\\s*cleo\\s*127\\.0\\.0\\.1:\\d+/.test({line})", "who answered, with hash, host and port")
    assert ada.run(f"/[0-9a-f]{{16}}/.test({line}) && /\\d\\d:\\d\\d:\\d\\d/.test({line})"), "when, and its ID"
    # Bela shares nothing, but passes on what others ask.
    world.go(bela, "#/stats")
    shows(bela, "planting calendar", table)


@test
def ten_thousand_rumors_are_a_few_rows(world):
    page = world.browser.page()
    page.open(world.demo.urls["bela"])
    page.until("document.querySelector('.lines .vrow')", "the talk is shown")
    took = page.run("(async () => { const { talk } = " + module("talkmodel") + """;
      const start = performance.now();
      for (let n = 0; n < 10000; n += 1)
        talk.addRumor({ origin: `node${n % 50}`, id: 1e6 + n, text: `Line ${n} ` + 'word '.repeat(n % 40), at: Date.now() + n });
      talk.sortRumors();
      talk.emit('rumors');
      await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
      return performance.now() - start;
    })()""")
    assert took < 1500, f"10,000 rumors took {took} ms"
    rows = page.run("document.querySelectorAll('.lines .vrow').length")
    assert 0 < rows < 60, f"{rows} rows are drawn"
    worst = page.run("""(async () => {
      const list = document.querySelector('.lines');
      let worst = 0;
      for (let n = 0; n < 40; n += 1) {
        const start = performance.now();
        list.scrollTop = list.scrollHeight * (1 - n / 40);
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        worst = Math.max(worst, performance.now() - start);
      }
      return worst;
    })()""")
    assert worst < 400, f"a scroll took {worst} ms"
    assert page.run(f"(async () => {module('talkmodel')}.talk.rumors.length)()") == 10000
    page.close()


ORDER = """(() => {
  const tops = [...document.querySelectorAll('.shared .vrow')].map((row) => row.getBoundingClientRect().top);
  return tops.every((top, place) => !place || top > tops[place - 1]);
})()"""


@test
def ten_thousand_files_are_a_few_rows_that_the_keyboard_goes_through(world):
    folder = tempfile.mkdtemp(prefix="strata-console-")
    process = page = None
    try:
        shared = os.path.join(folder, "shared")
        os.mkdir(shared)
        for number in range(10000):
            with open(os.path.join(shared, f"leaf-{number:05}.txt"), "w") as file:
                file.write(f"Leaf {number} of many.")
        process, url, _ = single(world.strata, {
            "name": "tree", "listen": "127.0.0.1:0", "control": "127.0.0.1:0",
            "layers": {"gossip": {}, "search": {}, "fileshare": {"shared": shared}}}, folder)
        node, end = Node(url), time.monotonic() + 120
        while node.ask("POST", "/v1/fileshare/list", {"limit": 1})[1]["total"] < 10000:
            assert time.monotonic() < end, "the files are hashed"
            time.sleep(0.5)
        page = world.browser.page()
        page.open(url)
        page.until("document.documentElement.dataset.ready")
        took = page.run("""(async () => {
          const start = performance.now();
          location.hash = '#/files';
          while (!document.querySelector('.shared .vrow')) await new Promise((done) => requestAnimationFrame(done));
          return performance.now() - start;
        })()""")
        assert took < 3000, f"the files took {took:.0f} ms to show"
        rows = "document.querySelectorAll('.shared .vrow').length"
        assert 0 < page.run(rows) < 40 and page.run("document.querySelectorAll('*').length") < 1500
        assert page.run("document.querySelector('.shared .vrow').getAttribute('aria-setsize')") == "10000"
        page.run("document.querySelector('.shared').focus()")
        seen = lambda: page.run("Number(document.querySelector('.shared .vrow').getAttribute('aria-posinset'))")
        page.press("PageDown")
        page.until("document.querySelector('.shared').scrollTop > 200", "Page Down scrolls")
        for _ in range(30):
            page.press("PageDown")
        page.until("Number(document.querySelector('.shared .vrow').getAttribute('aria-posinset')) > 80", "thirty pages on")
        page.press("End")
        page.until("document.querySelector('.shared').innerText.includes('leaf-09999')", "End goes to the end")
        assert page.run(rows) < 40
        for _ in range(10):
            page.press("PageUp")
        page.until("!document.querySelector('.shared').innerText.includes('leaf-09999')", "Page Up goes back")
        assert seen() > 9000 and page.run(ORDER), "rows stand in the order in which they are read"
        page.press("Home")
        page.until("document.querySelector('.shared').innerText.includes('leaf-00000')", "Home goes to the start")
        # Tab goes from row to row, further than was drawn at first.
        places = []
        for _ in range(60):
            page.press("Tab")
            place = page.run("Number(document.activeElement.closest('.shared .vrow')?.getAttribute('aria-posinset') ?? 0)")
            places.append(place)
            time.sleep(0.02)
        reached = [place for place in places if place]
        assert reached == sorted(reached) and reached[-1] >= 25, f"Tab goes through the rows: {places}"
        # What is focused may scroll out of sight, and the keys still work.
        page.press("End")
        page.until("document.querySelector('.shared').innerText.includes('leaf-09999')", "End from within a row")
        assert page.run("document.querySelector('.shared').contains(document.activeElement)"), "the focus stays with the list"
    finally:
        if page:
            page.close()
        if process:
            process.kill()
            process.wait()
            process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


@test
def a_node_that_comes_back_is_taken_up_again(world):
    config = {"name": "una", "listen": "127.0.0.1:0", "control": "127.0.0.1:0", "layers": {"gossip": {}}}
    process, url, folder = single(world.strata, config)
    page = world.browser.page()
    try:
        page.open(url)
        page.until("document.documentElement.dataset.ready")
        process.send_signal(signal.SIGKILL)
        process.wait()
        shows(page, "stopped answering")
        process.stdout.close()
        config["control"] = Node(url).origin[7:]
        process, again, _ = single(world.strata, config, folder)
        assert again == url, "the token lasts"
        page.until("document.querySelector('.banner').hidden", "the banner goes", 30)
    finally:
        page.close()
        process.kill()
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


@test
def the_keyboard_reaches_everything(world):
    page = world.browser.page()
    page.open(world.demo.urls["ada"])
    page.until("document.documentElement.dataset.ready")
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip", "the first stop is the skip link"
    seen = []
    for _ in range(40):
        page.press("Tab")
        seen.append(page.run("document.activeElement.innerText || document.activeElement.getAttribute('aria-label')"))
    for wanted in ["Talk", "Network", "Node", "Everybody", "Say it"]:
        assert any(wanted in (one or "") for one in seen), f"{wanted} is reached by Tab: {seen}"
    world.go(page, "#/network")
    page.until("document.querySelectorAll('.graph-node').length > 2")
    page.run("document.querySelector('.graph-node.neighbour').focus()")
    page.press("Enter", text="\r")
    page.until("document.querySelector('dialog')", "Enter opens a node")
    page.press("Escape")
    page.until("!document.querySelector('dialog')")
    assert page.run("document.activeElement.classList.contains('neighbour')"), "the focus comes back"
    page.close()


FOCUSED = """(() => {
  const node = document.activeElement, box = node.getBoundingClientRect(), style = getComputedStyle(node);
  const name = node.getAttribute('aria-label') ?? (node.innerText?.trim() || node.labels?.[0]?.innerText || node.title || node.placeholder || '');
  const drawn = node.matches('svg *') ? getComputedStyle(node.querySelector('circle')).strokeWidth : style.outlineStyle;
  return { name, tag: node.tagName, isSkip: node.className === 'skip', isBody: node === document.body,
    isMarked: drawn !== 'none' && drawn !== '0px',
    isSeen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    isInPlace: !node.closest('[hidden], [inert]'), order: node.tabIndex };
})()"""


@test
def tab_goes_round_each_view_and_is_always_seen(world):
    page = world.browser.page()
    page.open(world.demo.urls["ada"])
    page.until("document.documentElement.dataset.ready")
    for view in VIEWS:
        world.go(page, f"#/{view}")
        page.until("document.querySelector('#main h1')", view)
        time.sleep(0.5)
        page.run("document.activeElement.blur()")
        page.run("document.querySelector('.skip').focus()")
        names = []
        for _ in range(250):
            page.press("Tab")
            one = page.run(FOCUSED)
            if one["isSkip"] or one["isBody"]:
                break
            names.append(one["name"])
            assert one["name"], f"{view}: something without a name has the focus: {one}"
            assert one["isMarked"], f"{view}: {one['name']!r} has the focus, and nothing shows it: {one}"
            assert one["isSeen"] and one["isInPlace"], f"{view}: {one['name']!r} has the focus out of sight: {one}"
            assert one["order"] == 0, f"{view}: {one['name']!r} jumps the queue"
        else:
            raise AssertionError(f"{view}: Tab does not come round: {names[-5:]}")
        assert len(names) > 12, f"{view}: {names}"
    page.close()


VIEWS = ["talk", "talk/with/dora", "files", "network", "stats", "node", "layer/gossip"]

CONTRAST = """(() => {
  const read = (text) => { const c = document.createElement('canvas'); c.width = c.height = 1; const x = c.getContext('2d', { willReadFrequently: true });
    x.fillStyle = text; x.fillRect(0, 0, 1, 1); return [...x.getImageData(0, 0, 1, 1).data]; };
  const memory = new Map();
  const colour = (text) => { if (!memory.has(text)) memory.set(text, read(text)); return memory.get(text); };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (node) => { for (; node; node = node.parentElement) { const c = colour(getComputedStyle(node).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const found = [];
  for (const node of document.querySelectorAll('#app *')) {
    if (node.closest('svg') || ![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    const style = getComputedStyle(node), box = node.getBoundingClientRect();
    if (!box.width || !box.height || style.visibility === 'hidden' || node.closest('.sr-only, :disabled')) continue;
    const [a, b] = [light(colour(style.color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent.slice(0, 30)}`);
  }
  return found.slice(0, 10);
})()"""

NAMELESS = """[...document.querySelectorAll('#app button, #app a[href], #app input, #app select, #app textarea')]
  .filter((node) => node.getBoundingClientRect().width)
  .filter((node) => !(node.getAttribute('aria-label') || node.textContent?.trim() || node.labels?.length || node.title))
  .map((node) => node.outerHTML.slice(0, 120))"""


@test
def every_view_is_legible_labelled_and_fits(world):
    pictures = os.environ.get("CONSOLE_PICTURES")
    for size, (width, height) in {"wide": (1440, 900), "phone": (390, 844)}.items():
        for theme in ("light", "dark"):
            page = world.browser.page(width=width, height=height, dark=theme == "dark", phone=size == "phone")
            page.open(world.demo.urls["ada"])
            page.until("document.documentElement.dataset.ready")
            for view in VIEWS:
                world.go(page, f"#/{view}")
                page.until(f"document.querySelector('#main h1')", view)
                time.sleep(2 if pictures and view in ("network", "stats") else 0.5)
                place = f"{view}, {size}, {theme}"
                weak = page.run(CONTRAST)
                assert not weak, f"{place}: too little contrast: {weak}"
                nameless = page.run(NAMELESS)
                assert not nameless, f"{place}: without a name: {nameless}"
                assert page.run("document.documentElement.scrollWidth <= innerWidth"), f"{place}: wider than the screen"
                assert page.run("document.querySelectorAll('#main h1').length") == 1, f"{place}: one heading"
                assert page.run("!!document.querySelector('nav[aria-label]') && !!document.querySelector('main')")
                if size == "wide" and view == "network":
                    cut = "[...document.querySelectorAll('.network .table-wrap')].some((one) => one.scrollWidth > one.clientWidth + 1)"
                    assert not page.run(cut), f"{place}: a table is cut off"
                if pictures and view == "files":
                    look_for(page, "garden")
                    page.until("document.querySelector('.found .file')", "something is found")
                    page.run("document.activeElement.blur()")
                    # Where the tests lie on this machine is nobody's business.
                    page.run(f"for (const one of document.querySelectorAll('.shares bdi')) one.textContent = one.textContent.replace({ROOT!r}, '~/strata')")
                    time.sleep(1)
                if pictures:
                    page.picture(os.path.join(pictures, f"console-{view.replace('/', '-')}-{size}-{theme}.png"))
            page.close()


@test
def nothing_comes_from_elsewhere_and_nobody_complains(world):
    origins = {Node(url).origin for url in world.demo.urls.values()}
    strange = [event["params"]["request"]["url"] for event in world.browser.events
               if event["method"] == "Network.requestWillBeSent"
               and not event["params"]["request"]["url"].startswith(("http://127.0.0.1:", "about:", "blob:", "data:"))]
    assert not strange, strange
    assert origins
    for (name, _), page in world.pages.items():
        # A refused setting is an answer of 422, a layer that is off one of 404; a browser notes both.
        bad = [text for text in page.complaints() if "status of 4" not in text]
        assert not bad, f"{name}: {bad}"


def main():
    strata = os.path.abspath(sys.argv[1])
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    world, failed, start = World(strata), 0, time.monotonic()
    tests = TESTS
    if "CONSOLE_PICTURES" in os.environ:
        # Before the other tests have had their say, and once there is some talk to be seen.
        first = [a_file_is_shown_while_it_is_fetched, every_view_is_legible_labelled_and_fits]
        tests = first + [body for body in TESTS if body not in first]
        time.sleep(25)
    try:
        for body in tests:
            if only not in body.__name__:
                continue
            began = time.monotonic()
            try:
                note = body(world)
                print(f"  {'–' if note else '✓'} {body.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s){f', {note}' if note else ''}", flush=True)
            except Exception as error:
                failed += 1
                print(f"  ✗ {body.__name__.replace('_', ' ')}: {error}", flush=True)
                if not isinstance(error, AssertionError):
                    traceback.print_exc()
    finally:
        is_clean = world.close()
    if not is_clean:
        failed += 1
        print("  ✗ the demo left something behind")
    print(f"console: {failed} of {len(TESTS)} failed" if failed else f"console: all passed, in {time.monotonic() - start:.0f} s")
    sys.exit(1 if failed else 0)


main()
