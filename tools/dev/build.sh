# shellcheck shell=bash
# Builds, and `once`, which makes a thing again only when what it is made of has changed. ./dev sources it.

build() {
    local preset=${1:-debug}
    [[ $preset =~ ^(debug|release|image|asan|tsan|fuzz)$ ]] || die "build: no preset $preset; there are debug release image asan tsan fuzz"
    install build
    [ "$preset" = image ] || install tests
    web_modules
    local targets=()
    [ "$preset" != fuzz ] || { install fuzz && targets=(--target fuzzers); }
    # cmake's own chatter matters only where it fails.
    local log=$build/$preset.configure.log cache=$build/$preset/CMakeCache.txt fresh=() from
    mkdir -p "$build"
    # CMake refuses a folder that was copied or moved here.
    from=$(sed -n 's/^CMAKE_CACHEFILE_DIR:INTERNAL=//p' "$cache" 2>/dev/null || true)
    if [ -n "$from" ] && [ "$from" != "$build/$preset" ]; then
        say "dev: build/$preset was made as $from: configuring it again"
        fresh=(--fresh)
    fi
    cmake "${fresh[@]}" --preset "$preset" "${@:2}" >"$log" 2>&1 || { cat "$log" >&2; die "cmake failed"; }
    local quiet=()
    [ -t 1 ] || quiet=(-- --quiet)
    cmake --build "$build/$preset" --parallel "$jobs" "${targets[@]}" "${quiet[@]}" || die "build $preset failed"
}

# What the dashboard needs from npm; CMake embeds it.
web_modules() { once "uPlot" make_web_modules src/web/package.json src/web/package-lock.json; }
make_web_modules() {
    rm -rf "$build/web"
    mkdir -p "$build/web"
    cp src/web/package.json src/web/package-lock.json "$build/web"
    (cd "$build/web" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

# Makes a thing, and again only when what it is made of has changed: once <heading> <command> <ingredient ...>
# The command may have arguments, with a space between.
once() {
    local heading=$1 sum words
    local stamp=$build/.stamps/${2// /-}
    read -ra words <<<"$2"
    shift 2
    sum=$(cat "$@" | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ] || return 0
    timed "$heading" "${words[@]}" || die "${words[*]} failed"
    mkdir -p "$build/.stamps"
    echo "$sum" >"$stamp"
}
