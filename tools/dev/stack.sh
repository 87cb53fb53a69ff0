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
    local version=$1 into=$build/e2e/kubernetes-$1${2:+-$2} flags='-s -w' package go
    go=(env CGO_ENABLED=0 GOTOOLCHAIN=auto "$(find_go)")
    rm -rf "$into"
    mkdir -p "$into"
    cp test/e2e/kube/{go.mod,go.sum,*.go} "$into" || return 1
    if [ "$version" != "$(required_version test/e2e/kube/go.mod k8s.io/kubernetes)" ]; then
        (cd "$into" && "$root/test/e2e/kube/require" "$version" "${go[@]}") || return 1
    fi
    # KEDA and kubectl want to know which version the server has.
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*}"
        flags+=" -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
    done
    (cd "$into" && go_build ${2:+-tags="$2"} -ldflags="$flags" -o kube .)
}

# Operator, metrics adapter and webhooks, out of KEDA's module as it is: by its own go.mod, as KEDA builds them.
make_keda_stack() {
    local version=$1 into=$build/e2e/keda-$1 go module
    go=(env CGO_ENABLED=0 GOTOOLCHAIN=auto "$(find_go)")
    module=$(keda_module "$version")
    [ -n "$module" ] || return 1
    rm -rf "$into"
    mkdir -p "$into"
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
    local version=$1 into=$build/upstream go module program flags
    go=(env CGO_ENABLED=0 GOTOOLCHAIN=auto "$(find_go)")
    module=$(keda_module "$version")
    [ -n "$module" ] || return 1
    rm -rf "$into"
    mkdir -p "$into"
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

upstream_tests() {
    find_go >/dev/null || (install_go) || true
    if find_go >/dev/null; then
        once "KEDA's problems" "make_upstream $keda_version" test/parity/go.{mod,sum} test/upstream/* docs/upstream/*.patch
    else
        say "dev: no Go of at least 1.21 here, and none to be had from apt: nothing is tested of KEDA's problems"
    fi
}

# KEDA of make_keda_stack with another operator: $2 is provoked, patched or provoked-patched.
make_keda_variant() {
    local version=$1 variant=$2 into=$build/e2e/keda-$1-$2 go module
    go=(env CGO_ENABLED=0 GOTOOLCHAIN=auto "$(find_go)")
    module=$(keda_module "$version")
    [ -n "$module" ] || return 1
    rm -rf "$into"
    mkdir -p "$into"
    cp -r --no-preserve=mode "$module" "$into/source" || return 1
    # shellcheck disable=SC2086 # one flag for each word
    test/upstream/overlay --${variant//-/ --} "$into/source" "$into/overlay" || return 1
    (cd "$into/source" && go_build -overlay "$into/overlay/overlay.json" -o "$into/operator" \
        -ldflags="-s -w -X github.com/kedacore/keda/v2/version.Version=$version" ./cmd/operator) || return 1
    ln -s "../keda-$version/"{adapter,webhooks,config} "$into/" || return 1
    rm -rf "$into/source"
}

# Of the go command in `go`. Old versions of KEDA have a part of their dependencies in a folder of their own: not these.
go_build() { "${go[@]}" build -trimpath -buildvcs=false -mod=readonly "$@" 2> >(grep -v '^go: downloading' >&2); }

keda_programs() { once "KEDA $keda_version" "make_keda_stack $keda_version" test/parity/go.{mod,sum}; }

# Without Go the tests are skipped, aloud; in CI that is a failure.
keda_stack() {
    find_go >/dev/null || (install_go) || true
    if ! find_go >/dev/null; then
        say "dev: no Go of at least 1.21 here, and none to be had from apt: nothing is tested with a real KEDA"
        return
    fi
    once "Kubernetes $kubernetes_version" "make_kubernetes $kubernetes_version" test/e2e/kube/*
    keda_programs
    if [ -n "$keda_variant" ]; then
        install upstream
        once "KEDA $keda_version, $keda_variant" "make_keda_variant $keda_version $keda_variant" \
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
    local commit=$1 into=$build/previous
    rm -rf "$into"
    mkdir -p "$into/source"
    git archive "$commit" | tar -x -C "$into/source" || return 1
    cmake -S "$into/source" -B "$into/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBACKLOG_TESTS=OFF \
        -DBACKLOG_TRANSPORTS=nghttp2 -DBACKLOG_WERROR=OFF >"$into/log" 2>&1 || { cat "$into/log" >&2; return 1; }
    cmake --build "$into/build" --parallel "$jobs" >"$into/log" 2>&1 || { cat "$into/log" >&2; return 1; }
}

previous_version() {
    local commit
    commit=$(grep -v '^#' test/upgrade/previous)
    if git cat-file -e "$commit^{commit}" 2>/dev/null; then
        once "previous version" "make_previous $commit" test/upgrade/previous
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

# As a container engine would.
make_image() { as_root tools/image/build "$build/image-oci" "$(debian_mirror)"; }

image() {
    local sources
    install image
    mapfile -t sources < <(git ls-files Dockerfile dev 'CMake*' proto src scalers tools)
    [ -d "$build/image-oci/oci" ] || rm -f "$build/.stamps/make_image"
    once "image" make_image "${sources[@]}"
}

kafka_jars() { once "Kafka's jars" make_kafka test/brokers/kafka/pom.xml; }
kafka4_jars() { once "Kafka 4's jars" "make_kafka kafka-4 4.4.0" test/brokers/kafka/pom.xml; }
