#!/bin/bash
# Measures how long somebody new waits: from `git clone` into an empty folder to `make run`'s console answering.
#   newcomer.sh [SOURCE [RESULTS]]   SOURCE is what is cloned (this repository), RESULTS the file of figures.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=${1:-$(git -C "$here" rev-parse --show-toplevel)}
results=${2:-$here/../results/latest.json}
limit=${NEWCOMER_SECONDS:-3600}
folder=$(mktemp -d "${TMPDIR:-/tmp}/strata-newcomer-XXXXXX")
demo=

finish() {
  if [ -n "$demo" ] && kill -0 "$demo" 2>/dev/null; then
    # The group is the session that was started for it: make, and the demo that it has become.
    kill -INT -- "-$demo" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 -- "-$demo" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$demo" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

export GIT_TERMINAL_PROMPT=0
# A cache from an earlier build of the same packages would make a newcomer of nobody.
export XDG_CACHE_HOME=$folder/cache
start=$(date +%s.%N)
git clone --quiet "$source" "$folder/strata"
cloned=$(date +%s.%N)
setsid python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' make -C "$folder/strata" run >"$folder/out" 2>&1 </dev/null &
demo=$!

url=
while [ -z "$url" ]; do
  url=$(sed -n 's/.*\(http:\/\/[^ ]*#token=[0-9a-zA-Z]*\).*/\1/p' "$folder/out" | head -n 1)
  if [ -n "$url" ]; then break; fi
  if ! kill -0 "$demo" 2>/dev/null; then
    echo "make run ended without a console:" >&2
    tail -n 20 "$folder/out" >&2
    exit 1
  fi
  if [ "$(($(date +%s) - ${start%.*}))" -gt "$limit" ]; then
    echo "no console within $limit s" >&2
    exit 1
  fi
  sleep 0.05
done
python3 - "$url" <<'PYTHON'
import sys, time, urllib.request
url = sys.argv[1].split("#")[0]
end = time.monotonic() + 30
while True:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200 and b"<html" in answer.read().lower():
                break
    except OSError:
        pass
    if time.monotonic() > end:
        raise SystemExit(f"{url} does not answer with a page")
    time.sleep(0.02)
PYTHON
end=$(date +%s.%N)
PYTHONPATH=$here python3 - "$start" "$cloned" "$end" "$results" <<'PYTHON'
import sys
from measure import load, merge
start, cloned, end = map(float, sys.argv[1:4])
print(f"clone {cloned - start:.1f} s, then make run to the console {end - cloned:.1f} s; {end - start:.1f} s; {load()}")
merge(sys.argv[4], [{"name": "newcomer.cloneToConsole.seconds", "value": end - start, "unit": "s"}])
PYTHON
