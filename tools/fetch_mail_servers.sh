#!/usr/bin/env bash
# usage: tools/fetch_mail_servers.sh DIR
# Unpacks Debian's Postfix, Exim, OpenSMTPD and Dovecot below DIR, with the libraries this machine lacks. Nothing is installed
# or started: they conflict as packages, and the tests run each in a root directory of its own (MAILWAKE_MTAS=DIR).
set -euo pipefail
mkdir -p "$1"
cd "$1"
chmod 755 .

# What installing the package would add here is what it needs here; the package itself also when it is installed already.
unpack() {
    local name=$1 package=$2
    [ -e "$name/.complete" ] && return
    local debs
    debs=$(mktemp -d)
    chmod 755 "$debs"
    apt-get install -s -qq --no-install-recommends "$package" 2>/dev/null | awk '/^Inst/ { print $2 }' >"$debs/needed" || true
    (cd "$debs" && echo "$package" | sort -u - needed | xargs apt-get download -qq 2>/dev/null)
    mkdir -p "$name"
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$name"; done
    rm -r "$debs"
    touch "$name/.complete"
}

failed=0
unpack postfix postfix || failed=1
unpack exim exim4-daemon-light || failed=1
unpack opensmtpd opensmtpd || failed=1
unpack dovecot dovecot-lmtpd || failed=1
exit "$failed"
