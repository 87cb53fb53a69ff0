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

# By the compiler's own list of what it compiles, so that a file in no target does not go unseen. What was analysed without a finding
# is not analysed again as long as it, what it includes and the rules are the same (tools/analyse.py). --all analyses all.
lint_findings() {
    local status=0
    configure debug
    compile debug generated || return 1 # what the files include
    python3 tools/compiled.py "$build/debug/compile_commands.json" src scalers test >"$build/compiled" || status=1
    python3 tools/analyse.py --jobs "$jobs" --kept "$BACKLOG_CACHE/analysed" --build "$build/debug" --headers tools/lint_headers \
        --tidy "clang-tidy-$LLVM" "$@" <"$build/compiled" || status=1
    return $status
}

# With what they source.
lint_shell() { shell_scripts | xargs shellcheck --external-sources --check-sourced; }

lint_javascript() { "$build/eslint/node_modules/.bin/eslint" --config "$build/eslint/eslint.config.js" src/web/assets; }

lint_failures=()

lint_check() { timed "$@" || lint_failures+=("$1"); }

# quick: what needs no build, in seconds; all: the analyser reads what it has read before, too.
lint() {
    case ${1:-} in "" | quick | all) ;; *) die "lint: no checks named $1: quick, all, or nothing" ;; esac
    install lint npm python
    start_account "lint"
    eslint
    lint_check "format" lint_format
    lint_check "lines of at most 100 columns, 120 in JavaScript" lint_width
    lint_check "who includes whom, names and lists of modules" python3 tools/layers.py
    lint_check "words" python3 tools/words.py
    lint_check "links" python3 tools/links.py
    lint_check "shell scripts" lint_shell
    lint_check "JavaScript" lint_javascript
    if [ "${1:-}" != quick ]; then
        # The first time on a machine all files are analysed, and that is kept.
        [ -e "$BACKLOG_CACHE/analysed" ] || account=kept
        lint_check "clang-tidy" lint_findings ${1:+--all}
    fi
    [ "${1:-}" = quick ] || python3 tools/cpu.py "$build/reports"
    [ ${#lint_failures[@]} = 0 ] || die "lint: failed: $(printf '%s, ' "${lint_failures[@]}" | sed 's/, $//')"
}

format() {
    install lint
    c_files | xargs "clang-format-$LLVM" -i
}
