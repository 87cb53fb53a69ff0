# shellcheck shell=bash
# Real pods on this machine, for test/pods. ./dev sources it.

make_coredns() { go_install "$1" test/pods/tools; }

# What they are made of is made here, all else by the tests, in a machine within this one (tools/pods).
pods() {
    local reason status=0 inside=(tools/pods)
    install python pods
    python_environment
    go_tools
    keda_programs
    kubernetes_program kubelet
    kept pods/coredns "CoreDNS" make_coredns test/pods/tools/go.{mod,sum}
    image_base
    reason=$(as_root tools/pods check)
    [ -z "$reason" ] || inside=() # the tests are skipped, aloud
    as_root rm -rf "$build/pods/run"
    mkdir -p "$build/pods/run"
    as_root env "PATH=$PATH" "PYTHONPATH=$PYTHONPATH" "TMPDIR=$build/pods/run" PYTHONDONTWRITEBYTECODE=1 "BACKLOG_PODS=${reason:-here}" \
        "BACKLOG_E2E_LOGS=$build/pods/logs" "BACKLOG_E2E_KEDA=$keda_version" "BACKLOG_E2E_KUBERNETES=$kubernetes_version-kubelet" \
        "${inside[@]}" python -m pytest -o "cache_dir=$build/pytest/pods" -ra --timeout 3600 test/pods "$@" || status=$?
    as_root rm -rf "$build/pods/run"
    return $status
}
