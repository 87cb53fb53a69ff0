# shellcheck shell=bash
# Kubernetes, KEDA and its patched variants, the previous version, and the image. ./dev sources it.

# The versions of test/e2e, where --kubernetes and --keda name no others. KEDA's is the one that is compared with.
required_version() { [ ! -e "$1" ] || sed -nE "s|^\s*(require )?$2 v([0-9.]+)( .*)?$|\2|p" "$1" | head -n 1; }
kubernetes_version=$(required_version test/e2e/kube/go.mod k8s.io/kubernetes)
keda_version=$(required_version test/parity/go.mod github.com/kedacore/keda/v2)
keda_variant= # of its operator: provoked, patched, provoked-patched

# All of Kubernetes in one program; with `kubelet` what a real node runs, too. Another version than that of go.mod gets a go.mod
# of its own.
make_kubernetes() {
    local into=$1 version=$2 tags=${3:-} flags='-s -w' package go
    need_go
    cp test/e2e/kube/{go.mod,go.sum,*.go} "$into" || return 1
    if [ "$version" != "$(required_version test/e2e/kube/go.mod k8s.io/kubernetes)" ]; then
        (cd "$into" && "$root/test/e2e/kube/require" "$version" "${go[@]}") || return 1
    fi
    # KEDA and kubectl want to know which version the server has.
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*}"
        flags+=" -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
    done
    (cd "$into" && go_build ${tags:+-tags="$tags"} -ldflags="$flags" -o kube .)
}

kubernetes_program() {
    kept "e2e/kubernetes-$kubernetes_version${1:+-$1}" "Kubernetes $kubernetes_version${1:+ with a $1}" "make_kubernetes $kubernetes_version ${1:-}" test/e2e/kube/*
}

# Operator, metrics adapter and webhooks, out of KEDA's module as it is: by its own go.mod, as KEDA builds them.
make_keda_stack() {
    local into=$1 version=$2 go module
    need_go
    module=$(keda_module "$version")
    [ -n "$module" ] || return 1
    cp -r --no-preserve=mode "$module" "$into/source" || return 1
    (cd "$into/source" && go_build -o "$into/" -ldflags="-s -w -X github.com/kedacore/keda/v2/version.Version=$version" \
        ./cmd/operator ./cmd/adapter ./cmd/webhooks) || return 1
    mv "$into/source/config" "$into/config" || return 1
    rm -rf "$into/source"
}

keda_module() { # of the go command in `go`
    (cd test/parity && "${go[@]}" mod download -json "github.com/kedacore/keda/v2@v$1") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

# KEDA's problems as tests of KEDA's own package: as it is, with its race provoked, and with our patches. Go refuses an overlay of its module cache.
make_upstream() {
    local into=$1 version=$2 go module program flags
    need_go
    module=$(keda_module "$version")
    [ -n "$module" ] || return 1
    cp -r --no-preserve=mode "$module" "$into/source" || return 1
    for program in tests provoked patched; do
        flags=(--tests)
        [ "$program" = tests ] || flags+=(--provoked)
        [ "$program" != patched ] || flags+=(--patched)
        test/upstream/overlay "${flags[@]}" "$into/source" "$into/overlay-$program" || return 1
        (cd "$into/source" && "${go[@]}" test -c -vet=off -trimpath -buildvcs=false -mod=readonly -ldflags='-s -w' \
            -overlay "$into/overlay-$program/overlay.json" -o "$into/$program" ./controllers/keda 2> >(grep -v '^go: downloading' >&2)) || return 1
    done
    rm -rf "$into/source"
}

upstream_tests() { kept upstream "KEDA's problems" "make_upstream $keda_version" test/parity/go.{mod,sum} test/upstream/* docs/upstream/*.patch; }

# KEDA of make_keda_stack with another operator: $3 is provoked, patched or provoked-patched.
make_keda_variant() {
    local into=$1 version=$2 variant=$3 go module
    need_go
    module=$(keda_module "$version")
    [ -n "$module" ] || return 1
    cp -r --no-preserve=mode "$module" "$into/source" || return 1
    # shellcheck disable=SC2086 # one flag for each word
    test/upstream/overlay --${variant//-/ --} "$into/source" "$into/overlay" || return 1
    (cd "$into/source" && go_build -overlay "$into/overlay/overlay.json" -o "$into/operator" \
        -ldflags="-s -w -X github.com/kedacore/keda/v2/version.Version=$version" ./cmd/operator) || return 1
    cp -r "$build/e2e/keda-$version/"{adapter,webhooks,config} "$into/" || return 1
    rm -rf "$into/source"
}

# Of the go command in `go`. Old versions of KEDA have a part of their dependencies in a folder of their own: not these.
go_build() { "${go[@]}" build -trimpath -buildvcs=false -mod=readonly "$@" 2> >(grep -v '^go: downloading' >&2); }

keda_programs() { kept "e2e/keda-$keda_version" "KEDA $keda_version" "make_keda_stack $keda_version" test/parity/go.{mod,sum}; }

keda_stack() {
    kubernetes_program
    keda_programs
    if [ -n "$keda_variant" ]; then
        install upstream
        kept "e2e/keda-$keda_version-$keda_variant" "KEDA $keda_version, $keda_variant" "make_keda_variant $keda_version $keda_variant" \
            test/parity/go.{mod,sum} test/upstream/overlay docs/upstream/*.patch
    fi
}

# --provoked and --patched, in any order.
take_keda_variant() {
    case $1 in
        --provoked) keda_variant=provoked${keda_variant:+-$keda_variant} ;;
        --patched) keda_variant=${keda_variant:+$keda_variant-}patched ;;
        *) return 1 ;;
    esac
}

choose_keda_stack() { export BACKLOG_E2E_KUBERNETES=$kubernetes_version BACKLOG_E2E_KEDA=$keda_version${keda_variant:+-$keda_variant}; }

# The program that upgrades are tested from. A shallow clone has no such commit: the tests are skipped, aloud.
make_previous() {
    local into=$1 commit=$2
    mkdir -p "$into/source"
    git archive "$commit" | tar -x -C "$into/source" || return 1
    cmake -S "$into/source" -B "$into/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBACKLOG_TESTS=OFF \
        -DBACKLOG_UPLOT="$build/web/node_modules/uplot" -DBACKLOG_TRANSPORTS=nghttp2 -DBACKLOG_WERROR=OFF >"$into/log" 2>&1 || { cat "$into/log" >&2; return 1; }
    cmake --build "$into/build" --parallel "$jobs" >"$into/log" 2>&1 || { cat "$into/log" >&2; return 1; }
}

previous_version() {
    local commit
    commit=$(grep -v '^#' test/upgrade/previous)
    if git cat-file -e "$commit^{commit}" 2>/dev/null; then
        install npm
        web_modules
        kept previous "previous version" "make_previous $commit" test/upgrade/previous
    else
        say "dev: no commit $commit here (a shallow clone?): no upgrade from it is tested"
    fi
}

# Where apt gets its packages from is where those of other releases come from.
debian_mirror() {
    local mirror
    # shellcheck disable=SC2016 # the variables are apt's
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(LABEL)' 'Created-By: Packages' |
        awk '$2 == "main" && !/-[Ss]ecurity/ { print $1; exit }')
    echo "${mirror%/}"
}

make_image_base() { as_root tools/image/base "$1" "$(debian_mirror)"; }
image_base() { kept pods/base "the base of the images" make_image_base tools/image/base; }

# As a container engine would.
make_image() { as_root tools/image/build "$1" "$build/pods/base/base.tar"; }

image() {
    local sources
    install image
    image_base
    mapfile -t sources < <(git ls-files Dockerfile dev 'CMake*' proto src scalers tools)
    kept image-oci "image" make_image "${sources[@]}"
}

# Programs of Debian 12's brokers, each as a script that runs it there (tools/root), for the tests that want older ones.
make_older_brokers() {
    local program programs
    tools/root enter bookworm sh -ec 'apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 install --no-install-recommends \
            nats-server pgbouncer postgresql prometheus rabbitmq-server redis-server >/dev/null' || return 1
    # shellcheck disable=SC2016 # expanded there
    programs=$(tools/root enter bookworm sh -c 'ls /usr/bin/redis-server /usr/bin/prometheus /usr/bin/promtool /usr/bin/epmd \
        /usr/sbin/nats-server /usr/sbin/pgbouncer /usr/lib/rabbitmq/bin/* /usr/lib/postgresql/*/bin/*') || return 1
    for program in $programs; do
        printf '#!/bin/sh\nexec %q enter bookworm %q "$@"\n' "$root/tools/root" "$program" >"$1/$(basename "$program")" || return 1
    done
    chmod +x "$1"/*
}
older_brokers() { kept older-brokers "brokers of Debian 12" make_older_brokers tools/root; }
