#!/bin/sh
# Health of the NATS of this container, for Compose: sh health.sh MONITOR_PORT STORE PROCESS
#
# What NATS could not write, as its disk was full, it gives up until it is started again: a stream where it is the only
# server, all of them where it is one of a cluster. It does not end over that, so it is ended here as soon as its disk
# takes something again, and `restart: unless-stopped` starts it.
set -eu
monitor=$1 store=$2 process=$3
room_kib=16384
probe=$store/room.probe

has_room() {
  [ "$(df -Pk "$store" | awk 'NR == 2 {print $4}')" -ge "$room_kib" ] || return 1
  # A quota, or a disk that only reads, shows no sooner.
  takes=0
  head -c 65536 /dev/zero >"$probe" || takes=1
  rm -f "$probe"
  return "$takes"
}

health=$(printf 'GET /healthz HTTP/1.0\r\n\r\n' | nc -w 2 127.0.0.1 "$monitor")
case $health in
*"write error"* | *"JetStream not enabled"*)
  echo "$health"
  if has_room; then kill "$process"; fi
  exit 1
  ;;
esac
# Not whether all streams are in step: the servers of a cluster are waited for before the first stream is made.
exec wget --quiet --output-document=- "http://127.0.0.1:$monitor/healthz?js-server-only=true"
