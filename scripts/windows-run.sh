#!/usr/bin/env bash
# Cargo's runner for Windows programs: runs one under Wine, in the folder in which
# it was called. Wine is this machine's own, or the one that windows-setup.sh made.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/debian-root.sh"

export WINEDEBUG=-all
if command -v wine >/dev/null && wine --version | grep -qE '^wine-(1[0-9]|[2-9][0-9])'; then
    exec wine "$@"
fi

export root
exec unshare --mount bash -euc '
    mkdir -p "$root/host"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind / "$root/host"
    program=$1
    shift
    case $program in
        /*) ;;
        *) program=$PWD/$program ;;
    esac
    exec chroot "$root" /bin/sh -c "cd \"/host\$0\" && HOME=/ WINEPREFIX=/wine exec wine \"\$@\"" "$PWD" "/host$program" "$@"
' windows-run "$@"
