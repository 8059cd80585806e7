# Strata's errands. `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Hashes many chunks at once; only for this processor.
MULTI_BUFFER := $(if $(filter x86_64,$(shell uname -m)),libipsec-mb-dev)
# What the build needs from Debian; one list.
PACKAGES := libevent-dev libsqlite3-dev libsodium-dev $(MULTI_BUFFER)
# What the tests of the console need besides.
CONSOLE_PACKAGES := chromium python3
# The oldest Swift that builds this.
SWIFT_NEEDED := 6.3

PREFIX ?= /usr/local
FILTER ?=
FUZZ_SECONDS ?= 20
# How often `make survival` kills the node, and the seed of the instants at which it does; without one, another each time.
ROUNDS ?= 200
SEED ?=
FUZZERS := FuzzWire FuzzNode FuzzConfig FuzzText
# Release builds leave out the exclusivity checks at run time; the compiler's own, and the tests, keep them.
RELEASE := -c release -Xswiftc -enforce-exclusivity=unchecked
SOURCES := $(wildcard Sources Tests examples Benchmarks Fuzz) Package.swift
# Packages of their own, each with tests.
EXAMPLES := $(patsubst %/Package.swift,%,$(wildcard examples/*/Package.swift))

.PHONY: help deps console-deps toolchain build run test test-core test-examples test-console lint format bench \
  bench-console bench-peers bench-link bench-newcomer test-api survival fuzz sanitize docs install clean

help: ## Lists what can be made
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 17
	@echo "Settings: PREFIX=$(PREFIX) FILTER=$(FILTER) FUZZ_SECONDS=$(FUZZ_SECONDS) ROUNDS=$(ROUNDS) SEED=$(SEED)"

toolchain:
	@found=$$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1); \
	if [ -z "$$found" ]; then \
	  echo "Swift $(SWIFT_NEEDED) or newer is needed and no swift is on the PATH; see https://www.swift.org/install/linux" >&2; \
	  exit 1; \
	fi; \
	oldest=$$(printf '%s\n%s\n' "$$found" "$(SWIFT_NEEDED)" | sort -V | head -n 1); \
	if [ "$$oldest" != "$(SWIFT_NEEDED)" ]; then \
	  echo "Swift $(SWIFT_NEEDED) or newer is needed, and $$(command -v swift) is $$found; see https://www.swift.org/install/linux" >&2; \
	  exit 1; \
	fi

deps: ## Installs the Debian packages that are missing
	@missing=(); \
	for package in $(PACKAGES) $(MORE_PACKAGES); do \
	  state=$$(dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null || true); \
	  [ "$$state" = "install ok installed" ] || missing+=("$$package"); \
	done; \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	echo "Installing: $${missing[*]}"; \
	as_root=(); \
	if [ "$$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi; \
	if command -v apt-get >/dev/null && { [ $${#as_root[@]} -eq 0 ] || sudo -n true 2>/dev/null || { [ -t 0 ] && sudo true; }; } \
	  && "$${as_root[@]}" apt-get update -q \
	  && "$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$${missing[@]}" </dev/null; \
	then exit 0; fi; \
	echo "These Debian packages are needed and could not be installed from here: $${missing[*]}" >&2; \
	echo "Install them as root with: apt-get install $${missing[*]}" >&2; \
	exit 1

build: toolchain deps ## Builds the strata command for use
	swift build $(RELEASE) --product strata

run: toolchain deps ## Runs a demo network of six nodes and prints the addresses of their consoles; Ctrl-C ends it
	@echo "Building strata; the first time takes a few minutes ..."
	@swift build --product strata
	@exec "$$(swift build --show-bin-path)/strata" demo examples/demo

console-deps:
	@$(MAKE) deps MORE_PACKAGES="$(CONSOLE_PACKAGES)"

test: toolchain console-deps ## Runs every check that must pass
	@start=$$SECONDS; \
	$(MAKE) test-core; \
	$(MAKE) test-examples; \
	$(MAKE) test-console; \
	echo; \
	echo "make test: all passed, in $$((SECONDS - start)) s"

test-core:
	swift build --build-tests
	Tests/swift_test.sh --skip-build --parallel

test-examples:
	@for example in $(EXAMPLES); do \
	  echo "== $$example"; \
	  swift build --build-tests --package-path "$$example"; \
	  if [ -d "$$example/Tests" ]; then Tests/swift_test.sh --skip-build --parallel --package-path "$$example"; fi; \
	done

# FILTER runs those that have it in their names; CONSOLE_PICTURES=docs/images keeps a picture of each view.
test-console: console-deps
	swift build --product strata
	python3 Tests/Console/test_console.py "$$(swift build --show-bin-path)/strata" "$(FILTER)"

lint: toolchain ## Checks the style of every source file and script
	swift format lint --strict --parallel --recursive $(SOURCES)
	@for script in $$(git ls-files '*.sh' .ci/run); do bash -n "$$script"; done
	@if git grep -nIE '[[:blank:]]+$$' -- . ':!*.json' ':!*.txt' ':!Fuzz/Corpus' ':!LICENSE'; then \
	  echo "lint: these lines end in blanks" >&2; exit 1; fi
	@echo "make lint: all clean"

format: toolchain ## Puts every source file into the style
	swift format format --in-place --parallel --recursive $(SOURCES)

bench: toolchain deps ## Measures; FILTER=core measures what has that in its name
	@mkdir -p Benchmarks/results
	swift build $(RELEASE) --package-path Benchmarks
	FILTER="$(FILTER)" RESULTS=Benchmarks/results/latest.json Benchmarks/.build/release/strata-bench

survival: toolchain deps ## Kills nodes that publish and that download, ROUNDS times: nothing acknowledged may be lost
	swift build $(RELEASE) --package-path Benchmarks
	Benchmarks/.build/release/strata-bench survival $(ROUNDS) $(SEED)

bench-console: toolchain console-deps
	@mkdir -p Benchmarks/results
	swift build $(RELEASE) --product strata
	python3 Tests/Console/bench_console.py "$$(swift build $(RELEASE) --show-bin-path)/strata" Benchmarks/results/latest.json

# Packages of PyPI that only these need, apart from the system's own.
VENV := Benchmarks/.build/peers

$(VENV)/bin/python:
	@mkdir -p $(dir $(VENV))
	@python3 -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "no Python environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }

# SIZE=64MiB and ROUNDS=1 for a quick look; PEERS=strata,syncthing for some. What can't be installed is left out, and said.
bench-peers: toolchain deps $(VENV)/bin/python ## Measures transfers against libtorrent and Syncthing
	@mkdir -p Benchmarks/results
	swift build $(RELEASE) --product strata
	@$(VENV)/bin/pip install -q --disable-pip-version-check -r Benchmarks/peers/requirements.txt \
	  || echo "libtorrent could not be installed from PyPI" >&2
	PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python Benchmarks/peers/bench_peers.py \
	  "$$(swift build $(RELEASE) --show-bin-path)/strata" Benchmarks/results/latest.json

# SECONDS=20 and WARM_UP=8 a case, CASES=cubic for some. It needs root, for the namespaces; what can't be made is said.
bench-link: toolchain deps ## Measures how downloads and TCP share a link between network namespaces
	@mkdir -p Benchmarks/results
	swift build $(RELEASE) --product strata
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/peers/bench_link.py \
	  "$$(swift build $(RELEASE) --show-bin-path)/strata" Benchmarks/results/latest.json

bench-newcomer: toolchain deps ## Measures how long it takes from git clone to a console
	@mkdir -p Benchmarks/results
	PYTHONDONTWRITEBYTECODE=1 Benchmarks/peers/newcomer.sh

# Not part of `make test`, since it needs PyPI.
test-api: toolchain deps $(VENV)/bin/python ## Tries the control port with Schemathesis
	swift build $(RELEASE) --product strata
	$(VENV)/bin/pip install -q --disable-pip-version-check -r Tests/API/requirements.txt
	PYTHONDONTWRITEBYTECODE=1 python3 Tests/API/test_api.py \
	  "$$(swift build $(RELEASE) --show-bin-path)/strata" $(VENV)/bin/schemathesis

fuzz: toolchain deps ## Fuzzes each target for FUZZ_SECONDS
	swift build -c release --sanitize=fuzzer --package-path Fuzz
	@mkdir -p Fuzz/Findings Fuzz/.build/found; \
	for target in $(FUZZERS); do \
	  echo "== $$target, $(FUZZ_SECONDS) s"; \
	  mkdir -p "Fuzz/.build/found/$$target"; \
	  Fuzz/.build/release/$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -len_control=0 -rss_limit_mb=1024 -timeout=10 \
	    -print_final_stats=0 -verbosity=0 -artifact_prefix=Fuzz/Findings/$$target- \
	    "Fuzz/.build/found/$$target" "Fuzz/Corpus/$$target" </dev/null; \
	done; \
	rmdir --ignore-fail-on-non-empty Fuzz/Findings; \
	echo "make fuzz: nothing found"

sanitize: toolchain deps ## Runs the tests under the address and the thread sanitizer
	@export LSAN_OPTIONS="suppressions=$(CURDIR)/Tests/lsan.supp:print_suppressions=0"; \
	for kind in address thread; do \
	  echo "== $$kind sanitizer"; \
	  swift build --build-tests --sanitize=$$kind --scratch-path .build/sanitize-$$kind; \
	  Tests/swift_test.sh --skip-build --sanitize=$$kind --scratch-path .build/sanitize-$$kind; \
	done; \
	echo "make sanitize: all passed"

docs: toolchain deps ## Writes the pages that are made from the program: docs/cli.md, the manual page, docs/strata.proto
	swift build --product strata
	@mkdir -p docs/man; strata="$$(swift build --show-bin-path)/strata"; \
	"$$strata" man > docs/man/strata.1; \
	"$$strata" man --markdown > docs/cli.md; \
	"$$strata" proto > docs/strata.proto

install: build ## Installs the strata command, its manual page and its completions under PREFIX
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 0755 "$$(swift build $(RELEASE) --show-bin-path)/strata" "$(DESTDIR)$(PREFIX)/bin/strata"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" \
	  "$(DESTDIR)$(PREFIX)/share/zsh/site-functions" "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	install -m 0644 docs/man/strata.1 "$(DESTDIR)$(PREFIX)/share/man/man1/strata.1"
	@strata="$(DESTDIR)$(PREFIX)/bin/strata"; share="$(DESTDIR)$(PREFIX)/share"; \
	"$$strata" completion bash > "$$share/bash-completion/completions/strata"; \
	"$$strata" completion zsh > "$$share/zsh/site-functions/_strata"; \
	"$$strata" completion fish > "$$share/fish/vendor_completions.d/strata.fish"; \
	echo "The strata command, its manual page and its completions are in $(DESTDIR)$(PREFIX)."

clean: ## Removes all that was built
	rm -rf .build Fuzz/.build Fuzz/Findings Benchmarks/.build $(addsuffix /.build,$(EXAMPLES))
