#!/bin/sh
# Installs what the peer tests need from Debian: Barman's tools, pgBackRest, age, the Ceph gateway, and the stock
# compressors. Needs root; does nothing when all is there.
set -eu
packages="barman-cli-cloud pgbackrest age ceph-mon ceph-osd radosgw ceph-common postgresql-15 zstd lz4 bzip2 xz-utils busybox"
missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
