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

# The sources of the standard library of this Rust: the toolchain's own (rustup
# component add rust-src), or Debian's. Building it is not stable yet, hence the
# variables.
rust_sources() {
    local rust sources work mirror deb
    export RUSTC_BOOTSTRAP=1
    [ ! -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] || return 0
    rust=$(rustc --version | cut -d ' ' -f 2)
    sources=$cache/rust-src-$rust
    if ! [ -d "$sources" ]; then
        can_make_debian_root || { echo "please run: rustup component add rust-src"; return 1; }
        echo "fetching the sources of the standard library to $sources"
        work=$(mktemp -d)
        mirror=$(debian_mirror)
        curl -sSf "$mirror/dists/trixie-backports/main/binary-amd64/Packages.xz" | xz -d >"$work/packages"
        deb=$(sed -n "s/^Filename: \(.*rust-src_${rust//./\\.}+.*\.deb\)/\1/p" "$work/packages" | head -n 1)
        [ -n "$deb" ] || { echo "Debian has no sources of Rust $rust; please run: rustup component add rust-src"; return 1; }
        curl -sSf -o "$work/rust-src.deb" "$mirror/$deb"
        dpkg -x "$work/rust-src.deb" "$work/sources"
        mkdir -p "$cache"
        mv "$work/sources/usr/src/rustc-$rust" "$sources"
        rm -rf "$work"
    fi
    # Where cargo looks for them; the toolchain's own folder stays as it is.
    export __CARGO_TESTS_ONLY_SRC_ROOT=$sources/library
}
