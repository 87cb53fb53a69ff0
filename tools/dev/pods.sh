# shellcheck shell=bash
# Real pods on this machine, for test/pods. ./dev sources it.

make_coredns() {
    local go
    go=$(find_go) || die "no Go of at least 1.21 here, and none to be had from apt: install one for CoreDNS"
    (cd test/pods/tools && CGO_ENABLED=0 GOTOOLCHAIN=auto GOBIN=$build/pods "$go" install -trimpath -ldflags='-s -w' tool)
}

make_pods_base() { as_root tools/image/base "$build/pods" "$(debian_mirror)"; }

# What they are made of is made here, all else by the tests, in a machine within this one (tools/pods).
pods() {
    local reason status=0 inside=(tools/pods)
    install python pods
    python_environment
    go_tools
    keda_programs
    once "Kubernetes $kubernetes_version with a kubelet" "make_kubernetes $kubernetes_version kubelet" test/e2e/kube/*
    [ -d "$build/pods" ] || rm -f "$build/.stamps/"make_{coredns,pods_base}
    once "CoreDNS" make_coredns test/pods/tools/go.{mod,sum}
    once "the base of the images" make_pods_base tools/image/base
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
