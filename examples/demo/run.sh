#!/usr/bin/env bash
# Two nodes, alice and bob, that echo each other; shows what happens until Ctrl-C, and leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
package=$here/../EchoLayer

echo "Building a node with the Echo layer ..."
swift build --package-path "$package" --product EchoNode
node=$(swift build --package-path "$package" --show-bin-path)/EchoNode

folder=$(mktemp -d)
pids=()
finish() {
  trap - EXIT INT TERM
  # A node that was asked to stop says so in its log; it is waited for, so that its last lines are seen.
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$folder"
  echo "Stopped; nothing is left behind."
}
trap finish EXIT
trap 'exit 0' INT TERM

cp "$here/alice.json" "$here/bob.json" "$folder"
for name in alice bob; do
  # Ctrl-C is for this script, which stops the nodes in order.
  (trap '' INT; exec "$node" node "$folder/$name.json") &
  pids+=($!)
done

# The value of one of a node's metrics; 0 while there is none.
metric() {
  "$node" metrics --config "$folder/$1.json" 2>/dev/null |
    awk -v wanted="$2" 'index($1, wanted) == 1 { value = $NF } END { printf "%s", value + 0 }'
}

echo "alice and bob ask each other twice a second. Ctrl-C stops them; \`${node##*/} --help\` lists what else can be asked."
round=0
while [ "${DEMO_ROUNDS:-0}" -eq 0 ] || [ "$round" -lt "${DEMO_ROUNDS:-0}" ]; do
  round=$((round + 1))
  sleep 2 &
  wait $! || true
  for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "A node has ended; see its message above." >&2; exit 1; }
  done
  for name in alice bob; do
    count=$(metric "$name" strata_echo_round_trip_count)
    sum=$(metric "$name" strata_echo_round_trip_sum)
    awk -v name="$name" -v count="$count" -v sum="$sum" 'BEGIN {
      if (count > 0) printf "%-6s %5d answers, %.3f ms on average\n", name, count, sum / count * 1000
      else printf "%-6s no answers yet\n", name }'
  done
done
