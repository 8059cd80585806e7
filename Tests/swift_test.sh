#!/usr/bin/env bash
# Runs `swift test` with these arguments, and says once more at the end what failed, or what a crash left unfinished:
# with hundreds of tests side by side it would be lost between the others.
set -uo pipefail
log=$(mktemp "${TMPDIR:-/tmp}/strata-tests.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT
swift test "$@" </dev/null 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
[ "$status" -eq 0 ] && exit 0
{
  echo
  echo "== What failed"
  # Each issue, with the lines that explain it.
  awk '/^✘ .* recorded an issue/ { on = 1; print; next } on && /^(↳|  )/ { print; next } { on = 0 }' "$log" | head -n 200
  grep -aE '(^|: )([Ff]atal )?error:|crashed|Exited with|ERROR: |WARNING: Thread|SUMMARY: ' "$log" | grep -avE '^(◇|✔|✘|↳)' | head -n 40
  if ! grep -aqE '^[^ ]+ Test run with .*(passed|failed)' "$log"; then
    echo "The tests didn't come to their end. Under way, at most 40 of them:"
    awk '/^◇ Test .* started\.$/ && !/^◇ Test run started/ { sub(/^◇ /, ""); sub(/ started\.$/, ""); on[$0] = 1 }
      /^(✔|✘) Test / { line = $0; sub(/^[^ ]+ /, "", line); sub(/ (with .* )?(passed|failed) after .*/, "", line); delete on[line] }
      END { for (test in on) print "  " test }' "$log" | sort | head -n 40
  fi
} >&2
exit "$status"
