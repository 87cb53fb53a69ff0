# shellcheck shell=bash
# The Debian 13 root, in which brokers and the server of tests run. ./dev sources it.

# What the image has is Debian 13's. On an older Debian the server under test is built, and runs, in a root of Debian 13
# (tools/debian13), and so do the brokers, unless BACKLOG_BASE=native. pytest stays outside, and what is not Debian's: Kafka.
debian13=$build/debian13
# shellcheck source=/dev/null
has_debian13() { (. /etc/os-release && [ "${VERSION_CODENAME:-}" = trixie ]); }

make_debian13() {
    local packages
    mapfile -t packages <"$build/debian13.packages"
    as_root tools/debian13 make "$debian13" "$(debian_mirror)" "${packages[@]}"
}

# Without the compiler's launcher, which the root does not have.
in_debian13() {
    tools/debian13 enter "$debian13" chroot "$debian13" \
        env "--chdir=$root" --unset=CMAKE_C_COMPILER_LAUNCHER PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Configured once: to ask for the flags of grpc takes long. What has changed since, the build itself notices.
build_in_debian13() {
    [ "$debian13-asan/build.ninja" -nt CMakePresets.json ] ||
        in_debian13 cmake --preset asan -B "$debian13-asan" >"$debian13-asan.configure.log" 2>&1 || { cat "$debian13-asan.configure.log" >&2; return 1; }
    in_debian13 cmake --build "$debian13-asan" --parallel "$jobs" --target "$@" -- --quiet
}

debian13_ready=

debian13() {
    [ -z "$debian13_ready" ] || return 0
    debian13_ready=yes
    if has_debian13; then
        build asan
        tools/debian13 packages / "$build/asan/backlog" >"$build/reports/debian13"
        return
    fi
    local outside=' npm nodejs curl tmux patch default-jre-headless maven '
    install root
    mkdir -p "$build"
    awk -v outside="$outside" '$1 ~ /^(build|run|tests|brokers)$/ && !index(outside, " " $2 " ") { print $2 } END { print "valkey-server" }' <<<"$PACKAGES" >"$build/debian13.packages"
    [ -d "$debian13$root" ] || rm -f "$build/.stamps/make_debian13" # the repository was moved
    once "a Debian 13 root" make_debian13 "$build/debian13.packages" tools/debian13
    # After `&&` or `||` `set -e` is off.
    timed "build asan, in Debian 13" build_in_debian13 backlog || return 1
    tools/debian13 wrappers "$debian13" "$debian13-programs" "$debian13-asan/backlog" "$build/asan/backlog" || return 1
    tools/debian13 enter "$debian13" tools/debian13 packages "$debian13" "$debian13-asan/backlog" >"$build/reports/debian13" || return 1
    say "dev: what the tested server loads and which brokers it meets, of Debian 13: build/reports/debian13"
}

# Runs a command with the server that the broker tests and the examples are for, and with its base's brokers.
in_base() {
    if is_in_debian13; then
        env "BACKLOG=$debian13-programs/backlog" "BACKLOG_ROOT=$debian13" "BACKLOG_ROOT_PROGRAMS=$debian13-programs" \
            tools/debian13 enter "$debian13" "$@"
    else
        BACKLOG=$build/asan/backlog "$@"
    fi
}
