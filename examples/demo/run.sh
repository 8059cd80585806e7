#!/usr/bin/env bash
# Two nodes, alice and bob, that echo each other; shows what happens until Ctrl-C, and leaves nothing behind.
set -euo pipefail
# So that numbers have a point.
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
package=$(cd "$here/../EchoLayer" && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
  bold='' dim='' plain=''
fi

echo "Building a node with the Echo layer; the first time takes a few minutes ..."
swift build --package-path "$package" --product EchoNode
node=$(swift build --package-path "$package" --show-bin-path)/EchoNode

folder=$(mktemp -d "${TMPDIR:-/tmp}/strata-demo.XXXXXX")
pids=()
finish() {
  trap - EXIT INT TERM HUP
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$folder"
  echo
  echo "Both nodes have stopped; nothing is left behind."
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

# Whether a socket of this machine takes datagrams or listens (0A) at a port; the kernel lists them in hexadecimal.
is_taken() {
  local hex
  printf -v hex '%04X' "$1"
  awk -v port=":$hex" 'substr($2, length($2) - 4) == port && (FILENAME ~ /udp/ || $4 == "0A") { found = 1 } END { exit !found }' \
    /proc/net/udp /proc/net/udp6 /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# The files are those beside this script; a port that is taken is replaced in the copies.
cp "$here/alice.json" "$here/bob.json" "$folder"
ln -s "$node" "$folder/EchoNode"
spare=7200
for port in 7101 7102 7181 7182; do
  is_taken "$port" || continue
  while is_taken "$spare"; do spare=$((spare + 1)); done
  echo "Port $port is taken here; $spare is used instead."
  sed -i "s/:$port\"/:$spare\"/" "$folder/alice.json" "$folder/bob.json"
  spare=$((spare + 1))
done

for name in alice bob; do
  # Ctrl-C is for this script, which stops the nodes in order.
  (trap '' INT; exec "$node" node "$folder/$name.json" 2>"$folder/$name.log") &
  pids+=($!)
done

# Says why a node has ended, if one has.
check_nodes() {
  local place
  for place in 0 1; do
    kill -0 "${pids[$place]}" 2>/dev/null && continue
    local names=(alice bob)
    echo "${names[$place]} has ended:" >&2
    cat "$folder/${names[$place]}.log" >&2
    exit 1
  done
}

# What stands under a key of a node's file.
setting() { sed -n 's/^ *"'"$2"'": "\(.*\)",*$/\1/p' "$folder/$1.json"; }

# How many answers a node has had, and how many seconds they took together.
answers() {
  "$node" metrics --config "$folder/$1.json" 2>/dev/null | awk '
    $1 == "strata_echo_round_trip_count" { count = $2 }
    $1 == "strata_echo_round_trip_sum" { sum = $2 }
    END { print count + 0, sum + 0 }'
}

cat <<END

${bold}Two nodes talk over UDP: each asks the other twice a second, and times the answer.${plain}

  alice   $(setting alice listen)   control port http://$(setting alice control)
  bob     $(setting bob listen)   control port http://$(setting bob control)

In another terminal, for example:

  cd $folder
  ./EchoNode status --config alice.json
  ./EchoNode neighbours --config alice.json
  ./EchoNode guestbook sign "hello from alice" --config alice.json
  ./EchoNode events --follow --config bob.json

Ctrl-C ends both.

${dim}  seconds   alice: answers   mean ms    bob: answers   mean ms${plain}
END

round=0
start=$SECONDS
while [ "${DEMO_ROUNDS:-0}" -eq 0 ] || [ "$round" -lt "${DEMO_ROUNDS:-0}" ]; do
  round=$((round + 1))
  sleep 2 &
  wait $! || true
  check_nodes
  read -r alice_count alice_sum <<<"$(answers alice)"
  read -r bob_count bob_sum <<<"$(answers bob)"
  awk -v t=$((SECONDS - start)) -v a="$alice_count" -v as="$alice_sum" -v b="$bob_count" -v bs="$bob_sum" 'BEGIN {
    printf "  %7d   %14d   %7.3f   %13d   %7.3f\n", t, a, a ? as / a * 1000 : 0, b, b ? bs / b * 1000 : 0 }'
done
