# shellcheck shell=bash
# What tests and lint fetch or build beside Debian's packages: Python's, Go's, Kafka's and npm's. ./dev sources it.
# `once` runs these to see whether they fail, and there `set -e` is off: what comes before the last command needs `|| return 1`.

make_venv() {
    rm -rf "$build/venv"
    python3 -m venv "$build/venv"
    "$build/venv/bin/pip" install --quiet --disable-pip-version-check --requirement test/requirements.txt
}

make_stubs() {
    rm -rf "$build/stubs"
    mkdir -p "$build/stubs"
    "$build/venv/bin/python" -m grpc_tools.protoc -Iproto \
        --python_out="$build/stubs" --grpc_python_out="$build/stubs" proto/*.proto
}

python_environment() {
    install python
    once "Python packages" make_venv test/requirements.txt
    once "Python's gRPC stubs" make_stubs test/requirements.txt proto/*.proto
    export PYTHONPATH=$build/stubs${PYTHONPATH:+:$PYTHONPATH}
    export PYTHONDONTWRITEBYTECODE=1
    export PATH=$build/venv/bin:$build/tools:$PATH
}

# From 1.21 on Go fetches the toolchain that go.mod asks for by itself.
find_go() {
    local go
    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        if [ -x "$go" ] && [[ $("$go" env GOVERSION) =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 21 ]; then
            echo "$go"
            return
        fi
    done
    return 1
}

newest_go_package() {
    apt-cache "$@" search --names-only '^golang-1\.(2[1-9]|[3-9][0-9])-go$' | cut -d' ' -f1 | sort -V | tail -n 1
}

install_go() {
    command -v apt-get >/dev/null || return
    persistently apt update
    local package
    package=$(newest_go_package)
    if [ -n "$package" ]; then
        say "dev: installing the Debian package $package"
        persistently install_quietly "$package"
    else
        install_go_from_backports
    fi
}

# Debian 12's own Go is too old; that of its backports is not. They are beside the release, at the mirror
# that this machine uses already. They are asked this once only: the machine's sources stay as they are.
install_go_from_backports() {
    local codename mirror sources options package
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016 # the variables are apt's
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v codename="$codename" '$2 == codename && $3 == "main" { print $1; exit }')
    [ -n "$mirror" ] || return
    say "dev: looking for Go in $codename-backports"
    sources=$(mktemp -d)
    chmod 755 "$sources"
    cp /etc/apt/sources.list.d/*.{list,sources} /etc/apt/sources.list "$sources" 2>/dev/null || true
    echo "deb $mirror $codename-backports main" >"$sources/backports.list"
    options=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$sources")
    persistently apt "${options[@]}" update
    package=$(newest_go_package "${options[@]}")
    [ -z "$package" ] || say "dev: installing the Debian package $package of $codename-backports"
    [ -z "$package" ] || persistently apt "${options[@]}" install --no-install-recommends "$package" >/dev/null
    rm -rf "$sources"
}

make_tools() {
    local go
    go=$(find_go) || install_go
    go=$(find_go) || die "no Go of at least 1.21 here, and none to be had from apt: install one for helm, grpcurl and h2spec"
    mkdir -p "$build/tools"
    (cd test/tools && CGO_ENABLED=0 GOTOOLCHAIN=auto GOBIN=$build/tools "$go" install -trimpath -ldflags='-s -w' tool) || return 1
    mv "$build/tools/client" "$build/tools/interop_client"
}

# Into a folder of build, and another version than that of pom.xml.
make_kafka() {
    local into=$build/${1:-kafka} log=$build/kafka.log
    rm -rf "$into"
    mvn -q -B -l "$log" -f test/brokers/kafka/pom.xml ${2:+"-Dkafka.version=$2"} \
        dependency:copy-dependencies "-DoutputDirectory=$into" >/dev/null || { cat "$log" >&2; return 1; }
}

# What the chart's objects are checked against: files of Go modules, which are not compiled.
make_schemas() {
    local go module version sum folder found
    go=$(find_go) || install_go
    go=$(find_go) || die "no Go of at least 1.21 here, and none to be had from apt: install one for the Kubernetes schemas"
    rm -rf "$build/schemas"
    mkdir -p "$build/schemas"
    while read -r module version sum folder; do
        [[ $module != \#* ]] || continue
        found=$(cd "$build/schemas" && GOTOOLCHAIN=auto GOFLAGS=-mod=mod "$go" mod download -json "$module@$version") || die "$module@$version: $(sed -n 's/^\t"Error": "\(.*\)",$/\1/p' <<<"$found")"
        [ "$(sed -n 's/^\t"Sum": "\(.*\)",$/\1/p' <<<"$found")" = "$sum" ] || die "$module@$version is not what test/charts/schemas.txt says"
        cp -r --no-preserve=mode "$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$found")/$folder" "$build/schemas/$(basename "${module%/v[0-9]*}")" || return 1
    done <test/charts/schemas.txt
}

kubernetes_schemas() { once "schemas of Kubernetes, the Prometheus operator, cert-manager, VPAs, KEDA, Argo, Istio and the Gateway API" make_schemas test/charts/schemas.txt; }

go_tools() { once "actionlint, helm, crane, grpcurl, h2spec, grpc-health-probe and gRPC's interop client" make_tools test/tools/go.mod test/tools/go.sum; }

# A server that speaks S3, for the example with uploads, and kustomize for their overlays.
make_example_tools() {
    local go
    go=$(find_go) || install_go
    go=$(find_go) || die "no Go of at least 1.21 here, and none to be had from apt: install one for versitygw and kustomize"
    mkdir -p "$build/tools"
    (cd test/examples/tools && CGO_ENABLED=0 GOTOOLCHAIN=auto GOBIN=$build/tools "$go" install -trimpath -ldflags='-s -w' tool)
}

example_tools() { once "versitygw, an S3-compatible server, and kustomize" make_example_tools test/examples/tools/go.mod test/examples/tools/go.sum; }

# An external scaler in Go, to compare with.
make_peer() {
    local go into=$build/peers/go
    go=$(find_go) || install_go
    go=$(find_go) || die "no Go of at least 1.21 here, and none to be had from apt: install one for bench/peers/go"
    rm -rf "$into"
    mkdir -p "$build/peers"
    cp -r bench/peers/go "$into"
    mkdir "$into/externalscaler"
    (
        cd "$into"
        export CGO_ENABLED=0 GOTOOLCHAIN=auto GOBIN=$into/plugins
        "$go" install tool || exit 1
        python -m grpc_tools.protoc "-I$root/proto" --plugin=plugins/protoc-gen-go --plugin=plugins/protoc-gen-go-grpc \
            --go_out=externalscaler --go-grpc_out=externalscaler externalscaler.proto || exit 1
        "$go" build -trimpath -o scaler .
    )
}

make_js() {
    rm -rf "$build/js"
    mkdir -p "$build/js"
    cp test/protocol/js/package.json test/protocol/js/package-lock.json "$build/js"
    (cd "$build/js" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

# A job library of Node's. Its optional packages are native code for other systems, and not in every registry: `npm ci` would
# insist on them.
make_queues() {
    rm -rf "$build/queues"
    mkdir -p "$build/queues"
    cp test/brokers/js/package.json test/brokers/js/package-lock.json "$build/queues"
    (cd "$build/queues" && npm install --no-save --omit=optional --ignore-scripts --no-audit --no-fund --silent)
}

make_browser() {
    rm -rf "$build/browser"
    mkdir -p "$build/browser"
    cp test/web/js/package.json test/web/js/package-lock.json "$build/browser"
    (cd "$build/browser" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

browser() { once "playwright-core and axe-core" make_browser test/web/js/package.json test/web/js/package-lock.json; }

make_eslint() {
    rm -rf "$build/eslint"
    mkdir -p "$build/eslint"
    cp tools/eslint/* "$build/eslint"
    (cd "$build/eslint" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

eslint() { once "ESLint" make_eslint tools/eslint/*; }

# The page of examples/memes-nats, in build/meme-frontend/dist.
make_frontend() {
    rm -rf "$build/meme-frontend"
    mkdir -p "$build"
    cp -r examples/memes-nats/frontend "$build/meme-frontend"
    (cd "$build/meme-frontend" && rm -rf node_modules dist && npm ci --include=dev --ignore-scripts --no-audit --no-fund --silent && npm run --silent build >/dev/null)
}

meme_frontend() {
    local files
    mapfile -t files < <(find examples/memes-nats/frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' | sort)
    once "the page of examples/memes-nats" make_frontend "${files[@]}"
}

queues() { once "BullMQ" make_queues test/brokers/js/package.json test/brokers/js/package-lock.json; }

grpc_js() { once "grpc-js" make_js test/protocol/js/package.json test/protocol/js/package-lock.json; }

# KEDA's scalers are one package, which imports the clients of every cloud: all of it is twice as many packages to
# compile as what the files need that are compared, and the one that has a constant of theirs. They are copied, as they
# are, out of the module, and that is the one of go.sum.
KEDA_FILES='scaler|(external|kafka|apache_kafka|nats_jetstream|postgresql|prometheus|rabbitmq|redis|redis_streams|azure_queue)_scaler'

make_keda() {
    local go module into=$build/keda
    go=(env CGO_ENABLED=0 GOTOOLCHAIN=auto "$(find_go)")
    rm -rf "$into"
    mkdir -p "$into"
    cp test/parity/{go.mod,go.sum,main.go,poll.go} "$into"
    (
        cd "$into"
        "${go[@]}" mod download github.com/kedacore/keda/v2 || exit 1
        module=$("${go[@]}" list -m -f '{{.Dir}}' github.com/kedacore/keda/v2) || exit 1
        cp -r --no-preserve=mode "$module" module || exit 1
        find module/pkg/scalers -maxdepth 1 -name '*.go' -regextype posix-extended \
            -not -regex ".*/($KEDA_FILES)\.go" -delete || exit 1
        "${go[@]}" mod edit -replace=github.com/kedacore/keda/v2=./module || exit 1
        "${go[@]}" build -trimpath -ldflags='-s -w' -o keda . 2> >(grep -v '^go: downloading' >&2)
    )
}

# Without Go the tests that compare with KEDA are skipped, aloud; in CI that is a failure.
keda_scalers() {
    find_go >/dev/null || (install_go) || true
    if find_go >/dev/null; then
        once "KEDA's own scalers" make_keda test/parity/{go.mod,go.sum,main.go,poll.go}
    else
        say "dev: no Go of at least 1.21 here, and none to be had from apt: nothing is compared with KEDA's own scalers"
    fi
}
