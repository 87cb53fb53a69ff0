# shellcheck shell=bash
# What runs on a build: the reference, e2e, examples, benchmarks. ./dev sources it.

reference() {
    build_program debug
    "$build/debug/backlog" reference --output markdown >scalers/README.md
    chart
}

chart() {
    build_program debug
    python_environment
    "$build/debug/backlog" reference --output json | python tools/chart/generate.py
}

run_with_server() {
    install brokers
    build_program release
    python_environment
    export BACKLOG=$build/release/backlog
    exec "$@"
}

e2e() {
    while [ $# -gt 0 ]; do
        case $1 in
            --keda) keda_version=${2:?--keda needs a version} && shift 2 ;;
            --kubernetes) kubernetes_version=${2:?--kubernetes needs a version} && shift 2 ;;
            --provoked | --patched) take_keda_variant "$1" && shift ;;
            *) break ;;
        esac
    done
    local selection=(-m core)
    if [ "${1:-}" = all ]; then
        selection=()
        shift
    elif [ $# -gt 0 ]; then
        selection=()
    fi
    install brokers examples
    build_program release
    python_environment
    go_tools
    kafka_jars
    kubernetes_schemas
    example_tools
    keda_stack
    choose_keda_stack
    export BACKLOG=$build/release/backlog BACKLOG_E2E_LOGS=$build/e2e/logs
    python -m pytest -o "cache_dir=$build/pytest" -ra "${side_by_side[@]}" "${selection[@]}" test/e2e "$@"
}

example() {
    local name=${1:-}
    if [ ! -x "examples/$name/run" ]; then
        [ -z "$name" ] || say "dev: no example $name"
        say "examples: $(cd examples && echo */run | sed 's|/run||g')"
        [ -z "$name" ]
        return
    fi
    install npm brokers examples
    [ -n "${BACKLOG:-}" ] || build_program release
    python_environment
    [[ $name != *kafka* ]] || kafka_jars
    [[ $name != memes-nats ]] || meme_frontend
    [[ $name != video-conversion-* ]] || example_tools
    [[ " $* " != *" --e2e "* ]] || { go_tools && keda_stack && choose_keda_stack; }
    export BACKLOG=${BACKLOG:-$build/release/backlog}
    exec python "examples/$name/run" "${@:2}"
}

load() {
    install examples
    python_environment
    exec python examples/common/load.py "$@"
}

bench_policies() {
    if [ "${1:-}" != --plot ]; then
        "$build/release/bench/policies" "$@"
        return
    fi
    "$build/release/bench/policies" --points | python3 bench/policies_plot.py "${2:-docs/policies.svg}"
}

bench() {
    case ${1:-} in
        polls) install brokers && kafka_jars && keda_scalers && run_with_server bench/polls "${@:2}" ;;
        push | sizes | dashboard | requests) install npm brokers && kafka_jars && run_with_server "bench/$1" "${@:2}" ;;
        simulate) build release; BACKLOG=$build/release/backlog exec bench/simulate ;;
        policies) build release; bench_policies "${@:2}"; exit ;;
        engine) build release; exec "$build/release/bench/engine" "${@:2}" ;;
        keda | credentials) install brokers && kafka_jars && keda_stack && choose_keda_stack && run_with_server "bench/$1" "${@:2}" ;;
        scaleup | outage | away)
            local variant
            install brokers && keda_stack && choose_keda_stack
            for variant in provoked provoked-patched; do # of --operators
                [[ " $* " != *" $variant "* ]] || keda_variant=$variant keda_stack
            done
            run_with_server "bench/$1" "${@:2}"
            ;;
        wire) shift ;;
        *) run_with_server bench/run "$@" ;;
    esac
    install bench
    python_environment
    go_peer
    run_with_server bench/wire "$@"
}
