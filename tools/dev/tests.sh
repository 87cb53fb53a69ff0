# shellcheck shell=bash
# The parts of ./dev test. ./dev sources it.

# Each suite leaves a report (JUnit's XML), which tools/test_summary.py counts at the end.
# Many of them wait: for a server of theirs that is silent, or for a time to pass.
unit_suite() { unit_run "$1" "unit-$1" --parallel $((3 * jobs)) "${@:2}"; }

unit_run() {
    local preset=$1 report=$2 folder=$build/$1 launcher=()
    shift 2
    # ThreadSanitizer cannot live with as random an address space as newer kernels make.
    [ "$preset" != tsan ] || ! setarch -R true 2>/dev/null || launcher=(setarch -R)
    "${launcher[@]}" ctest --test-dir "$folder" --timeout 120 --output-on-failure --no-tests=error \
        --output-junit "$build/reports/$report.xml" "$@"
}

# A test that fails beside others is run a second time, alone, and must pass then. tools/test_summary.py names these, and
# allows a few.
unit_twice() {
    local preset=$1 failed=$build/$1/Testing/Temporary/LastTestsFailed.log status=0
    rm -f "$failed"
    unit_suite "$@" || status=$?
    if [ -e "$failed" ]; then
        say "dev: those that failed, a second time, alone"
        status=0
        unit_run "$preset" "unit-$preset-again" --parallel 1 --rerun-failed --stop-on-failure || status=$?
    fi
    return "$status"
}

# Of many that fail again five are enough.
pytest_twice() {
    local report=$1 folder=$2 status=0
    shift 2
    pytest_suite "$report" "$folder" "$@" || status=$?
    if [ "$status" = 1 ]; then
        say "dev: those that failed, a second time, alone"
        status=0
        pytest_suite "$report-again" "$folder" "$@" --numprocesses=0 --last-failed --last-failed-no-failures=none --maxfail=5 || status=$?
    fi
    return "$status"
}

# A part of ./dev test leaves out what is for ./dev nightly, and the first run what is not `first`.
python_suite() {
    local selection=()
    case ${size:-} in
        first) selection=(-m first -k "not kafka and not bullmq") ;; # neither is Debian's
        ci) selection=(-m "not nightly") ;;
        nightly) selection=(--timeout=7200) ;; # BACKLOG_FULL makes some of them long
    esac
    pytest_twice "$1" "$@" "${selection[@]}"
}

pytest_suite() {
    local report=$1 folder=$2
    shift 2
    BACKLOG=$build/asan/backlog BACKLOG_RELEASE=$build/release/backlog tools/reap python -m pytest -o "cache_dir=$build/pytest/${report%-again}" \
        --timeout 180 -ra --junit-xml "$build/reports/$report.xml" "test/$folder" "$@"
}

# Runs a suite; a failure is noted for the closing lines, with the seconds it took, and stops nothing.
suite() {
    local report=$1 heading=$2 status=0 began=$SECONDS
    shift 2
    reports+=("$report")
    timed "$heading" "$@" || status=$?
    echo "$status $((SECONDS - began))" >"$build/reports/$report.status"
}

# For the server under test; unit tests have theirs from test/CMakeLists.txt.
sanitizer_environment() {
    export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
    export LSAN_OPTIONS=suppressions=$root/test/lsan.supp:print_suppressions=0
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
}

test_unit() {
    local labels=()
    case ${size:-} in
        first | ci) labels=(--label-exclude '^nightly$') ;;
    esac
    suite unit-asan "unit tests under ASan and UBSan" unit_twice asan "${labels[@]}" "$@"
    [ "${size:-}" != first ] || return 0
    # With arguments it may have none of them.
    suite unit-tsan "threaded unit tests under TSan" unit_twice tsan --label-regex '^threads$' "$@" ${1:+--no-tests=ignore}
    [ $# -gt 0 ] || suite unit-release "what values of keys cost the release build" keys_suite
}

# The bounds of test/keys/bounds.c are those of this build: a sanitizer has other ones. Shows the worst of all scalers.
keys_suite() {
    unit_suite release --label-regex '^keys$' --parallel 1 --test-output-size-passed 65536 || return
    awk '/: [0-9]+ calls$/ { scaler = $1 }
        /^  largest trigger: / && $3 > largest { largest = $3; trigger = scaler $0 }
        /^  slowest call: / && $3 > slowest { slowest = $3; call = scaler $0 }
        END { if (trigger == "" || call == "") exit 1; print trigger; print call }' "$build/reports/unit-release.xml"
}

# These often wait: two files at a time take half as long. More of them at a time disturb one another, but for those that
# mostly wait.
two_at_a_time=(--numprocesses=2 --dist=loadfile)
three_at_a_time=(--numprocesses=3 --dist=loadfile)
six_at_a_time=(--numprocesses=6 --dist=loadfile)
eight_at_a_time=(--numprocesses=8 --dist=loadfile)
# Real clients and brokers against the instrumented server: what they provoke is found where it happens.
test_image() { suite image "image and workflows" python_suite image "$@"; }
test_upgrade() { suite upgrade "upgrades from the previous version" python_suite upgrade "$@"; }
test_upstream() { suite upstream "KEDA's problems" python_suite upstream "${two_at_a_time[@]}" "$@"; }
test_kerberos() { suite kerberos "with a real Kerberos" python_suite kerberos "$@"; }
# Attacks measure what others notice of them: these have the machine for themselves.
ATTACKS=test/protocol/test_attacks.py
test_protocol() {
    if [ $# -gt 0 ]; then
        suite protocol "protocol tests" python_suite protocol "${two_at_a_time[@]}" "$@"
    else
        suite protocol "protocol tests" python_suite protocol "${eight_at_a_time[@]}" "--ignore=$ATTACKS"
        [ "${size:-}" = first ] || suite attacks "attacks" pytest_twice attacks "${ATTACKS#test/}"
    fi
}
# The commands of the pages.
test_docs() { suite docs "commands of the pages" python_suite docs --numprocesses=2 "$@"; }
test_charts() { suite charts "chart tests" python_suite charts "${two_at_a_time[@]}" --timeout=600 "$@"; }
# Screenshots are in build/screenshots.
# One file has most of them, so they are shared test by test.
test_web() { suite web "the dashboard in a real browser" python_suite web --numprocesses=4 --dist=worksteal "$@"; }
# Beside other tests a fuzzer may get no time at all for minutes, and what it was working on then seems to take too long.
# Such an input is the first of a second run. What crashed has failed.
fuzz_suite() {
    local found=$build/fuzz/test/fuzz/found status=0 input name
    rm -f "$found"/*-{crash,leak,oom,timeout}-*
    unit_suite fuzz --label-regex '^fuzz$' "$@" || status=$?
    if [ $status = 0 ] || compgen -G "$found/*-crash-*" || compgen -G "$found/*-leak-*" || compgen -G "$found/*-oom-*"; then
        return $status
    fi
    say "dev: fuzzers that failed without a crash, a second time"
    for input in "$found"/*-timeout-*; do
        name=$(basename "${input%-timeout-*}")
        [ ! -f "$input" ] || mv "$input" "$found/$name/"
    done
    unit_run fuzz unit-fuzz-again --rerun-failed
}
test_fuzz() { suite unit-fuzz "fuzzers" fuzz_suite "$@"; }
# In CI KEDA's answers are those that are recorded.
test_parity() {
    [ "$size" = ci ] || export BACKLOG_KEDA=$build/keda/keda
    suite parity "side by side with KEDA's own scalers" python_suite parity "${two_at_a_time[@]}" "$@"
}
test_examples() { suite examples "examples" python_suite examples "${three_at_a_time[@]}" --timeout=600 "$@"; }
test_brokers() { suite brokers "broker tests" python_suite brokers "${six_at_a_time[@]}" --timeout=400 "$@"; }

# ---- by name only: every version, and every line

# Newer than any Debian's, of their Go modules; without all that Prometheus discovers in clouds.
make_newer() {
    local module version
    # Prometheus 3.16.0 is v0.316.0 of its module, and says its version only if the linker is told.
    module=$(required_version test/matrix/go.mod github.com/prometheus/prometheus)
    version=$(sed -E 's/^0\.([0-9])0?([0-9]+)\./\1.\2./' <<<"$module")
    GOFLAGS=-tags=remove_all_sd go_install "$1" test/matrix -ldflags="-s -w -X github.com/prometheus/common/version.Version=$version"
}
newer_brokers() { kept matrix/go "the newest nats-server and Prometheus" make_newer test/matrix/go.mod test/matrix/go.sum; }

# SOURCE, where its broker is from, and variables of the tests.
matrix_row() (
    source=$1 report=matrix-$1-$2${3:+-${3##*[=/]}}
    [ "$2" != bookworm ] || export "BACKLOG_PROGRAMS=$build/older-brokers"
    [ $# -lt 3 ] || export "${@:3}"
    status=0
    timed "$*" pytest_twice "$report" brokers "${two_at_a_time[@]}" -k "${source/%postgresql/postgresql or pgbouncer}" "${matrix_arguments[@]}" || status=$?
    python tools/matrix.py "$source" "$2" "$build/reports/$report.xml"
    exit "$status"
)

test_matrix() {
    local source=${1:-} rows row status=0 matrix_arguments=("${@:2}")
    rows=$(grep -E "^${source:-[a-z]+} " test/matrix/rows | sed "s|=build/|=$build/|") ||
        die "test: matrix: no source $source; there are $(grep -oE '^[a-z]+' test/matrix/rows | sort -u | xargs)"
    sanitizer_environment
    start_account "matrix"
    prepare brokers
    install valkey
    [[ $rows != *=$build/matrix/go* ]] || newer_brokers
    [[ $rows != *" bookworm"* ]] || older_brokers
    build_program asan
    build_program release
    while read -r -a row; do
        matrix_row "${row[@]}" </dev/null || status=1
    done <<<"$rows"
    return $status
}

test_mutation() {
    install build tests
    install npm
    python_environment
    web_modules
    start_account "mutation"
    timed "mutation" python tools/mutate.py "$@"
}

# Each test has a namespace and brokers of its own and mostly waits for KEDA, so several run side by side. In CI a first part of them
# is enough where all that CI runs have passed with the same contents of what KEDA sees: then there is a file with their hash.
side_by_side=(--numprocesses=6 --maxschedchunk=1 --timeout=900)
e2e_contents=(charts src/kubernetes src/model src/scale src/serve test/e2e test/parity/go.mod test/parity/go.sum CMakePresets.json)
test_e2e() {
    local size=$size passed status
    passed=$BACKLOG_CACHE/passed/e2e-$(git ls-files -z -- "${e2e_contents[@]}" | xargs -0 sha256sum | sha256sum | cut -c1-16)
    [ "$size" != ci ] || [ ! -e "$passed" ] || size=first
    export BACKLOG_E2E_LOGS=$build/reports/e2e
    choose_keda_stack
    suite e2e "with a real KEDA" python_suite e2e "${side_by_side[@]}" "$@"
    read -r status _ <"$build/reports/e2e.status"
    if [ "$status $#" = "0 0" ] && [ "$size" != first ]; then
        mkdir -p "${passed%/*}"
        touch "$passed"
    fi
}

# What a part needs; the builds that it needs are added to `presets`.
prepare() {
    case $1 in
        unit)
            presets+=(asan)
            [ "$size" = first ] || presets+=(release tsan)
            ;;
        fuzz) presets+=(fuzz) ;;
        protocol)
            install protocol && python_environment && presets+=(asan)
            [ "$size" = first ] || { go_tools && grpc_js && presets+=(release); }
            ;;
        web) install web && python_environment && browser && presets+=(asan) ;;
        charts) python_environment && go_tools && kubernetes_schemas && presets+=(asan) ;;
        docs) install docs && python_environment && go_tools && presets+=(asan) ;;
        brokers)
            install brokers && python_environment && presets+=(asan)
            [ "$size" = first ] || { go_tools && queues && kafka_jars && kafka4_jars && presets+=(release); }
            ;;
        examples) install brokers examples web && meme_frontend && python_environment && go_tools && kafka_jars && example_tools && browser && kubernetes_schemas && presets+=(asan) ;;
        parity)
            install brokers && python_environment && kafka_jars && presets+=(asan)
            [ "$size" = ci ] || keda_scalers
            ;;
        image) install brokers image lint && python_environment && go_tools && image && presets+=(asan release) ;;
        upgrade) install brokers && python_environment && kafka_jars && previous_version && presets+=(asan) ;;
        upstream) install upstream && python_environment && upstream_tests ;;
        kerberos) install run brokers kerberos && python_environment && kafka_jars && presets+=(asan) ;;
        e2e) install brokers examples && python_environment && go_tools && kubernetes_schemas && kafka_jars && example_tools && keda_stack && presets+=(asan) ;;
    esac
}

# Builds what the tests of a preset are.
build_for_tests() {
    local targets=()
    case $1 in
        release) targets=(backlog tests_keys) ;;
        tsan) targets=(backlog tests_threads) ;;
    esac
    configure "$1"
    compile "$1" "${targets[@]}"
}

# Ends what is still made or tested in the background, with all that it has started: it would go on in the same folders.
end_asides() {
    local pid
    for pid in $(jobs -pr); do
        end_tree "$pid"
    done
}
end_tree() {
    local children child
    kill -STOP "$1" 2>/dev/null || return 0 # so that it starts no more
    children=$(cat "/proc/$1/task"/*/children 2>/dev/null || true)
    kill "$1" 2>/dev/null || true
    kill -CONT "$1" 2>/dev/null || true
    for child in $children; do
        end_tree "$child"
    done
}

# Most parts need the first build: it is compiled while what else is needed is fetched.
start_build_aside() {
    timed "build asan" build_for_tests asan &
    build_aside=$!
}

# Charts only compute, and their results are read at the end: they take what tests that mostly wait leave of the machine.
start_aside() {
    local part=$1 report=$2
    shift 2
    reports+=("$report")
    (renice -n 19 "$BASHPID" >/dev/null && "test_$part" "$@") >"$build/$part.log" 2>&1 &
}

FIRST_PARTS=(unit protocol brokers)
CI_PARTS=(charts unit protocol docs web brokers examples parity e2e)
NIGHTLY_PARTS=("${CI_PARTS[@]}" kerberos upgrade upstream image)
NAMED_PARTS=(fuzz)

test_() {
    local size=${1:-first} parts presets=() reports=() part preset
    [ $# = 0 ] || shift
    case $size in
        first) parts=("${FIRST_PARTS[@]}") ;;
        ci) parts=("${CI_PARTS[@]}") ;;
        nightly) parts=("${NIGHTLY_PARTS[@]}") ;;
        matrix | mutation)
            "test_$size" "$@"
            return
            ;;
        *)
            [[ " ${NIGHTLY_PARTS[*]} ${NAMED_PARTS[*]} " == *" $size "* ]] ||
                die "test: no part $size; there are ${NIGHTLY_PARTS[*]} ${NAMED_PARTS[*]}, matrix, mutation, and ci"
            parts=("$size")
            ;;
    esac
    [ ${#parts[@]} = 1 ] || [ $# = 0 ] || die "test: $size takes no arguments: $*"
    mkdir -p "$build/reports"
    rm -rf "$build/charts.log" "$build/reports"/*.{xml,status} "$build/reports/e2e"
    start_account "test-$size"
    sanitizer_environment
    trap end_asides EXIT
    trap 'exit 130' INT # pytest and ctest end by themselves, and the next part would begin
    local build_aside=
    [ "$size" = first ] || install npm
    [ ${#parts[@]} = 1 ] || { install build tests && start_build_aside; }
    for part in "${parts[@]}"; do
        prepare "$part"
    done
    if [ -n "$build_aside" ]; then
        say "dev: waiting for build/asan"
        wait "$build_aside" || die "the build failed"
    fi
    for preset in $(printf '%s\n' "${presets[@]}" | sort -u); do
        [[ -n $build_aside && $preset = asan ]] ||
            timed "build $preset" build_for_tests "$preset"
    done
    local ready=$SECONDS
    for part in "${parts[@]}"; do
        case $size,$part in
            ci,charts | nightly,charts) start_aside charts charts ;;
            *) "test_$part" "$@" ;;
        esac
    done
    wait
    cat "$build/charts.log" 2>/dev/null || true
    python3 tools/cpu.py "$build/reports"
    python3 tools/test_summary.py "$build/reports" "$ready" "${reports[@]}"
}
