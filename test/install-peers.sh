#!/bin/sh
# Installs from Debian 12 what the tests run beside Tidemark: Barman's tools and the Ceph gateway (with openssl for its
# certificate), the stock compressors, shells and age, PostgreSQL 15 with its client programs; and pgBackRest, which the
# benchmark runs. Needs root; does nothing when all is there.
set -eu
packages="barman-cli-cloud ceph-mon ceph-osd radosgw ceph-common openssl postgresql-15 pgbackrest"
packages="$packages zstd lz4 bzip2 xz-utils gzip tar age python3 bash dash busybox"
missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "missing:$missing; run this as root to install them" >&2
  exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 $missing
