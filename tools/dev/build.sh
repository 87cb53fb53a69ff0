# shellcheck shell=bash
# Builds, and `kept`, which keeps what was fetched or built for all clones. ./dev sources it.

build() {
    install npm
    configure "$@"
    compile "${1:-debug}"
}

# The program alone: build/PRESET/backlog.
build_program() {
    configure "$1"
    compile "$1" backlog
}

# What comes after the preset goes to cmake. Without npm there is no dashboard: who wants it installs npm first.
configure() {
    local preset=${1:-debug} dashboard=OFF
    [[ $preset =~ ^(debug|release|image|asan|tsan|fuzz)$ ]] || die "build: no preset $preset; there are debug release image asan tsan fuzz"
    install build
    [ "$preset" = image ] || install tests
    [ "$preset" != fuzz ] || install fuzz
    [ "$preset" = tsan ] || ! command -v npm >/dev/null || { web_modules && dashboard=ON; }
    # cmake's own chatter matters only where it fails.
    local log=$build/$preset.configure.log cache=$build/$preset/CMakeCache.txt fresh=() from
    mkdir -p "$build"
    # CMake refuses a folder that was copied or moved here, or configured by another system's compiler.
    from=$(sed -n 's/^CMAKE_CACHEFILE_DIR:INTERNAL=//p' "$cache" 2>/dev/null || true)
    if [ -n "$from" ] && [ "$from" != "$build/$preset" ]; then
        say "dev: build/$preset was made as $from: configuring it again"
        fresh=(--fresh)
    fi
    cmake "${fresh[@]}" --preset "$preset" "-DBACKLOG_DASHBOARD=$dashboard" "${@:2}" >"$log" 2>&1 || { cat "$log" >&2; die "cmake failed"; }
}

# The targets after the preset, or all of its tests and programs.
compile() {
    local preset=$1 targets=("${@:2}")
    [ $# != 1 ] || [ "$preset" != fuzz ] || targets=(fuzzers)
    NINJA_STATUS='[%p] ' cmake --build "$build/$preset" --parallel "$jobs" ${targets[0]+--target "${targets[@]}"} |
        progress "build/$preset" || die "build $preset failed"
}

# Of ninja's lines a tenth of the way each, and all that is not about progress.
progress() {
    awk -v what="$1" '!/^\[ *[0-9]+%\] / { print; next }
        { done = int(substr($0, 2, 3) / 10); if (done > shown && done < 10) { shown = done; print what ": " done "0 %"; fflush() } }'
}

# What the dashboard needs from npm; CMake embeds it.
web_modules() { kept web "uPlot" make_web_modules src/web/package.json src/web/package-lock.json; }
make_web_modules() { npm_modules "$1" src/web ci; }

# The packages of FROM/package.json into a folder.
npm_modules() {
    local into=$1 from=$2
    cp "$from"/package{,-lock}.json "$into" || return 1
    (cd "$into" && npm "${@:3}" --ignore-scripts --no-audit --no-fund --silent)
}

# Makes build/NAME, a link to a folder outside of the clone, which has the hash of what it is made of in its name, the recipe among
# it: kept NAME <heading> <command> <ingredient ...>. The command may have arguments, with a space between; the folder, which is empty,
# comes first. Other clones find it there. What was not used for a month goes.
kept() {
    local name=$1 heading=$2 words sum folder
    read -ra words <<<"$3"
    shift 3
    sum=$({ echo "${words[*]}" && declare -f "${words[0]}" && cat "$@"; } | sha256sum | cut -c1-16)
    folder=$BACKLOG_CACHE/kept/${name//\//-}-$sum
    if [ ! -e "$folder.whole" ]; then
        mkdir -p "$BACKLOG_CACHE/kept"
        find "$BACKLOG_CACHE/kept" -maxdepth 1 -name '*.whole' -mtime +30 -print0 | while IFS= read -r -d '' stale; do
            rm -rf "$stale" "${stale%.whole}"
        done
        account=kept timed "$heading" make_kept "$folder" "${words[@]}" || die "$heading: not made"
    fi
    touch "$folder.whole"
    mkdir -p "$(dirname "$build/$name")"
    [ -L "$build/$name" ] || rm -rf "${build:?}/$name"
    ln -sfn "$folder" "$build/$name"
}

# One clone at a time. After `||` `set -e` is off in all that a recipe calls: what comes before its last command needs `|| return 1`.
make_kept() (
    folder=$1
    exec {lock}>"$folder.lock"
    flock "$lock"
    [ ! -e "$folder.whole" ] || exit 0
    rm -rf "$folder"
    mkdir -p "$folder"
    "$2" "$folder" "${@:3}" || exit 1
    touch "$folder.whole"
    rm -f "$folder.lock"
)
