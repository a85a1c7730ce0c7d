# Sourced: a small Debian trixie in the user's cache, made once and shared by every
# clone, for what this machine's own system lacks (an older Rust, a newer Wine).
#
#   debian_root PACKAGE...    makes sure that they are in "$root"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/pipewright
root=$cache/trixie

# The mirror that this machine's apt uses.
debian_mirror() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1
}

can_make_debian_root() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

debian_root() {
    local missing=() package
    if ! [ -x "$root/usr/bin/apt-get" ]; then
        echo "making $root"
        command -v mmdebstrap >/dev/null || {
            apt-get update -qq
            apt-get install -qq -y mmdebstrap >/dev/null
        }
        mkdir -p "$cache"
        rm -rf "$root.new"
        mmdebstrap --quiet --variant=apt trixie "$root.new" "$(debian_mirror)"
        rm -rf "$root"
        mv "$root.new" "$root"
    fi
    for package in "$@"; do
        [ -e "$root/var/lib/dpkg/info/$package.list" ] ||
            compgen -G "$root/var/lib/dpkg/info/$package:*.list" >/dev/null ||
            missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "adding to $root: ${missing[*]}"
        cp /etc/resolv.conf "$root/etc/resolv.conf"
        chroot "$root" apt-get update -qq
        DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" >/dev/null
    fi
}
