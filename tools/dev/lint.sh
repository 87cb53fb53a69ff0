# shellcheck shell=bash
# ./dev lint and ./dev format. ./dev sources it.

c_files() { find src scalers test bench tools -name '*.[ch]' | sort; }

shell_scripts() { grep -rlIE --exclude-dir={build,.git} '^#! ?/.*[/ ](ba)?sh$' . | sort; }

lint_format() { c_files | xargs "clang-format-$LLVM" --dry-run -Werror; }

# clang-format leaves comments as they are (ReflowComments), and no formatter knows the dashboard's JavaScript.
lint_width() {
    local status=0
    if c_files | LC_ALL=C.UTF-8 xargs grep -nE '^.{101,}'; then status=1; fi
    if LC_ALL=C.UTF-8 grep -rnE --include='*.js' '^.{121,}' src/web/assets; then status=1; fi
    return $status
}

# By the compiler's own list of what it compiles, so that a file in no target does not go unseen.
lint_findings() {
    local status=0
    python3 tools/compiled.py "$build/debug/compile_commands.json" src scalers test >"$build/compiled" || status=1
    xargs --max-procs="$jobs" --max-args=1 "clang-tidy-$LLVM" --quiet -p "$build/debug" \
        --extra-arg-before="-I$root/tools/lint_headers" <"$build/compiled" \
        2> >(grep -vE '^[0-9]+ warnings? ' >&2) || status=1
    return $status
}

# With what they source.
lint_shell() { shell_scripts | xargs shellcheck --external-sources --check-sourced; }

lint_javascript() { "$build/eslint/node_modules/.bin/eslint" --config "$build/eslint/eslint.config.js" src/web/assets; }

# For machines without npm.
build_without_dashboard() {
    cmake -S . -B "$build/no-dashboard" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBACKLOG_DASHBOARD=OFF -DBACKLOG_TESTS=OFF >/dev/null &&
        cmake --build "$build/no-dashboard" --target backlog -- --quiet && "$build/no-dashboard/backlog" version
}

lint_failures=()

lint_check() { timed "$@" || lint_failures+=("$1"); }

# quick: what needs no build, in seconds.
lint() {
    case ${1:-} in "" | quick) ;; *) die "lint: no checks named $1: quick, or nothing for all" ;; esac
    install lint
    eslint
    lint_check "format" lint_format
    lint_check "lines of at most 100 columns, 120 in JavaScript" lint_width
    lint_check "who includes whom, names and lists of modules" python3 tools/layers.py
    lint_check "words" python3 tools/words.py
    lint_check "links" python3 tools/links.py
    lint_check "shell scripts" lint_shell
    lint_check "JavaScript" lint_javascript
    if [ $# = 0 ]; then
        install build lint python
        timed "build" build debug # the compiler's findings, and what clang-tidy must know
        lint_check "build, optimised" build release # what only the optimiser finds
        lint_check "build, without a dashboard" build_without_dashboard
        lint_check "clang-tidy" lint_findings
    fi
    [ ${#lint_failures[@]} = 0 ] || die "lint: failed: $(printf '%s, ' "${lint_failures[@]}" | sed 's/, $//')"
}

format() {
    install lint
    c_files | xargs "clang-format-$LLVM" -i
}
