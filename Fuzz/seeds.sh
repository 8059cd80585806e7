#!/usr/bin/env bash
# Writes the seeds that the fuzzers start from. What they have found since stands beside them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/Corpus"
mkdir -p FuzzWire FuzzNode FuzzConfig FuzzText

# A seed given as hex.
hex() { local text=${2// /}; printf "$(sed 's/../\\x&/g' <<<"$text")" >"$1"; }

# A rumor as the Peersters write it; one with our mark after it; a hello; a piece; a probe; every wire type; a group.
hex FuzzWire/seed-rumor '12 0c 0a 05 616c696365 10 01 1a 02 6869'
hex FuzzWire/seed-rumor-strata '12 0c 0a 05 616c696365 10 01 1a 02 6869 9002 01'
hex FuzzWire/seed-hello '8a02 1d 08 01 11 0102030405060708 19 0000000000000000 20 01 2a 05 616c696365'
hex FuzzWire/seed-piece '8202 2b 09 0102030405060708 11 0807060504030201 1d 00040000 25 00010000 2d 00000000 32 04 61626364'
hex FuzzWire/seed-probe '9a02 0d 09 0102030405060708 12 02 0000'
hex FuzzWire/seed-everything "c23e 39 08 01 10 02 18 03 20 04 28 01 31 0000000000000001 3d 00000001 \
41 000000000000f03f 4a 02 6869 52 02 0102 60 07 6a 03 010203 72 04 01000000 7a 01 61"
hex FuzzWire/seed-message '08 01 10 02 18 03 20 04 28 01 4a 02 6869 60 07 6a 03 010203 82 01 06 0a 01 61 12 01 00 c2 3e 00'
hex FuzzWire/seed-group '0b 10 01 13 14 0c'
hex FuzzWire/seed-blob 'ca3e 04 0a 02 6162'

# Stories: time passes; a stranger introduces itself and sends pieces; the node sends large messages, and they arrive.
hex FuzzNode/seed-time '00 00 e803 00 e803'
hex FuzzNode/seed-hello '00 02 03 0000000000000000 02 01 03 0107 0001 0004 00 0001'
hex FuzzNode/seed-pieces '02 02 02 0000000000000000 02 01 03 05 07 e803 00 00 0000 03 05 07 e803 00 01 0000 03 05 07 e803 00 02 0000'
hex FuzzNode/seed-large '02 05 0080 06 0f 06 0f 00 f401 06 0f 06 0f 06 0f 06 0f 06 0f'
hex FuzzNode/seed-flood '01 0d 00 0d 01 00 60ea 0d 02 08 05 0050 15 0050'
hex FuzzNode/seed-forged '00 0a 1111111111111111 05 0090 06 4f 06 1f 0a 2222222222222222 05 0090 06 0f'
# All layers, along a tree and by mongering: a rumor, a status, a batch, ranges, a graft, a private message, commands.
hex FuzzNode/seed-layers 'd0 02 03 0000000000000000 02 01 03 0f 01 03 11 02 02 01 1a 03 0f 02 01 39 02 11 02 02 01 0f f8 00 06 0f'
hex FuzzNode/seed-layers-tree '70 0f 04 01 39 03 11 02 02 01 1a 03 0f 06 01 39 03 11 02 02 01 03 01 0f fb 01 06 0f 00 f401 06 0f'
hex FuzzNode/seed-reload '00 0e 01 1e 02 2e 03 3e 04 0b 0c 0b 0b 0b 0b 0b'

printf '%s' '{"interval":"250ms","cache":"8KiB","fanout":7,"loss":0.25,"enabled":false,"title":"a","mode":"thorough"}' \
  >FuzzConfig/seed-section
printf '%s' '{"topics":["a","b"],"relay":"127.0.0.1:5000","weights":{"a":1,"b":-2}}' >FuzzConfig/seed-lists
printf '%s' '{"name":"alice","listen":"127.0.0.1:5000","peers":["127.0.0.1:5001"],"data":"./data/alice",
  "control":"127.0.0.1:8080","layers":{"fuzz":{"interval":"1s"},"peerster":{}}}' >FuzzConfig/seed-node
printf '%s' '[1,-0,1e3,1.5E-7,9223372036854775807,18446744073709551615,"\u00e9\ud83d\ude00\n",null,true,[[[]]]]' \
  >FuzzConfig/seed-values
printf '%s' '{"intervl":"5 parsecs","fanout":0,"loss":2,"mode":"slow","topics":[1]}' >FuzzConfig/seed-wrong

printf '127.0.0.1:5000' >FuzzText/seed-ipv4
printf '[2001:db8::1]:5000' >FuzzText/seed-ipv6
printf '[fe80::1%%3]:1' >FuzzText/seed-scope
printf '[::ffff:1.2.3.4]:65535' >FuzzText/seed-mapped
printf '1h30m' >FuzzText/seed-long
printf '250ms' >FuzzText/seed-duration
printf '1.5s' >FuzzText/seed-fraction
printf '8KiB' >FuzzText/seed-size
printf '00ff00ff' >FuzzText/seed-hex
