"""Drives the console in a headless Chromium against a real demo network, as a person would.

Run by `make test-console`; takes the path of the strata command, and a folder for pictures if they are wanted.
"""
import os, shutil, signal, subprocess, sys, tempfile, time, traceback

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser
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
    page = world.page("ada")
    assert "token" not in page.run("location.href")
    assert page.run("sessionStorage.getItem('strata.token')?.length") == 64
    assert page.run("history.length") <= 2


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
    ada.until("document.querySelectorAll('.graph-node.neighbour').length === 2", "two neighbours")
    ada.until("document.querySelectorAll('.graph-node.far').length >= 3", "three nodes beyond them", 40)
    world.demo.node("bela").ask("POST", "/v1/gossip/publish", {"text": "look at this packet"})
    shows(ada, "look at this packet", "document.querySelector('.packets')")
    ada.run("[...document.querySelectorAll('.packet')].find(p => p.innerText.includes('look at this')).click()")
    shows(ada, "look at this packet", "document.querySelector('dialog')")
    shows(ada, "origin", "document.querySelector('dialog')")
    ada.press("Escape")
    ada.until("!document.querySelector('dialog')", "Escape closes it")


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


FAKE_FILES = """(async () => {
  const { state } = await import('/console/state.js');
  const object = (properties) => ({ type: 'object', properties });
  const share = ['share', 'unshare', 'list', 'download', 'downloads', 'pause', 'resume', 'cancel'];
  state.layers.push({ name: 'fileshare', summary: '', metrics: [], events: [], messages: [], settings: [],
    commands: share.map((name) => ({ name, summary: '', input: object({ paths: { type: 'array' } }) })) });
  state.layers.push({ name: 'search', summary: '', metrics: [], events: [], messages: [], settings: [],
    commands: ['find', 'recent'].map((name) => ({ name, summary: '', input: object({ words: { type: 'string' } }) })) });
  const root = 'ab'.repeat(32);
  const answers = {
    '/v1/fileshare/list': { files: [{ name: '<img src=x onerror="window.caught=1">.txt', size: 5000, root }] },
    '/v1/fileshare/downloads': { downloads: [{ name: 'film.webm', size: 1 << 20, done: 1 << 19, rate: 1e6, root, state: 'running',
      chunks: ['bela', 'bela', 'cleo', null, null, 'cleo'] }] },
    '/v1/search/find': { results: [{ name: 'atlas.pdf', size: 123456, root, holders: [{ name: 'finn', address: '127.0.0.1:7206' }, { name: 'emil', address: '127.0.0.1:7205' }] }] },
    '/v1/search/recent': { queries: [] },
  };
  const real = window.fetch;
  window.fetch = (path, options) => answers[path]
    ? Promise.resolve(new Response(JSON.stringify(answers[path]), { headers: { 'Content-Type': 'application/json' } })) : real(path, options);
  state.checkLayers = async () => {};
  state.emit('layers');
  location.hash = '#/files';
})()"""


@test
def the_files_view_shows_what_its_layers_tell(world):
    """Against answers that are made up here, since the layers are not there yet."""
    page = world.browser.page()
    page.open(world.demo.urls["ada"])
    page.until("document.documentElement.dataset.ready")
    assert not page.run("document.querySelector('.nav [data-id=files]')"), "no layer, no view"
    page.run(FAKE_FILES)
    page.until("document.querySelector('.nav [data-id=files]')", "the view is there with its layers")
    shows(page, 'onerror="window.caught=1">.txt', "document.querySelector('.shared')")
    shows(page, "film.webm")
    assert page.run("document.querySelectorAll('.chunk-map .here').length") >= 4
    fill(page, "#words", "atlas")
    page.run("document.querySelector('.search-form').requestSubmit()")
    shows(page, "2 holders", "document.querySelector('.found')")
    shows(page, "127.0.0.1:7206", "document.querySelector('.found')")
    assert page.run("window.caught === undefined") and page.run("document.querySelectorAll('.shared img').length") == 0
    pictures = os.environ.get("CONSOLE_PICTURES")
    if pictures:
        page.picture(os.path.join(pictures, "console-files-wide-light.png"))
    complaints = [text for text in page.complaints() if "status of 4" not in text]
    assert not complaints, complaints
    page.close()


@test
def ten_thousand_rumors_are_a_few_rows(world):
    page = world.browser.page()
    page.open(world.demo.urls["bela"])
    page.until("document.querySelector('.lines .vrow')", "the talk is shown")
    took = page.run("""(async () => {
      const { talk } = await import('/console/talkmodel.js');
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
    assert page.run("(async () => (await import('/console/talkmodel.js')).talk.rumors.length)()") == 10000
    page.close()


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


VIEWS = ["talk", "talk/with/dora", "network", "stats", "node", "layer/gossip"]

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
        tests = sorted(TESTS, key=lambda body: body is not every_view_is_legible_labelled_and_fits)
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
