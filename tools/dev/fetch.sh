# shellcheck shell=bash
# What tests and lint fetch or build beside Debian's packages: Python's, Go's, Kafka's and npm's. ./dev sources it.
# `kept` (build.sh) runs the recipes, make_*, with the folder to fill.

make_venv() {
    python3 -m venv "$1" || return 1
    "$1/bin/pip" install --quiet --disable-pip-version-check --requirement test/requirements.txt
}

make_stubs() {
    "$build/venv/bin/python" -m grpc_tools.protoc -Iproto --python_out="$1" --grpc_python_out="$1" proto/*.proto
}

python_environment() {
    install python
    kept venv "Python packages" make_venv test/requirements.txt
    kept stubs "Python's gRPC stubs" make_stubs test/requirements.txt proto/*.proto
    export PYTHONPATH=$build/stubs${PYTHONPATH:+:$PYTHONPATH}
    export PYTHONDONTWRITEBYTECODE=1
    export PATH=$build/venv/bin:$build/tools:$build/example-tools:$PATH
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

# Go's command, without cgo, in the array `go`.
need_go() {
    find_go >/dev/null || install go
    go=(env CGO_ENABLED=0 GOTOOLCHAIN=auto "$(find_go)") || die "no Go of at least 1.21 here"
}

# The programs that the go.mod of a folder names as tools.
go_install() {
    local into=$1 from=$2 go
    need_go
    (cd "$from" && GOBIN=$into "${go[@]}" install -trimpath -ldflags='-s -w' "${@:3}" tool)
}

make_tools() {
    go_install "$1" test/tools ./helm_server || return 1
    mv "$1/client" "$1/interop_client"
}
go_tools() { kept tools "actionlint, helm, crane, grpcurl, h2spec, grpc-health-probe, gRPC's interop client and helm_server" make_tools test/tools/{go.mod,go.sum,helm_server/*.go}; }

# A server that speaks S3, for the example with uploads, and kustomize for their overlays.
make_example_tools() { go_install "$1" test/examples/tools; }
example_tools() { kept example-tools "versitygw, an S3-compatible server, and kustomize" make_example_tools test/examples/tools/go.mod test/examples/tools/go.sum; }

# A version that is not that of pom.xml may be given.
make_kafka() {
    mvn -q -B -l "$1/log" -f test/brokers/kafka/pom.xml ${2:+"-Dkafka.version=$2"} \
        dependency:copy-dependencies "-DoutputDirectory=$1" >/dev/null || { cat "$1/log" >&2; return 1; }
}
kafka_jars() { install kafka && kept kafka "Kafka's jars" make_kafka test/brokers/kafka/pom.xml; }
kafka4_jars() { install kafka && kept kafka-4 "Kafka 4's jars" "make_kafka 4.4.0" test/brokers/kafka/pom.xml; }

# What the chart's objects are checked against: files of Go modules, which are not compiled.
make_schemas() {
    local into=$1 go module version sum folder found
    need_go
    while read -r module version sum folder; do
        [[ $module != \#* ]] || continue
        found=$(cd "$into" && GOFLAGS=-mod=mod "${go[@]}" mod download -json "$module@$version") || die "$module@$version: $(sed -n 's/^\t"Error": "\(.*\)",$/\1/p' <<<"$found")"
        [ "$(sed -n 's/^\t"Sum": "\(.*\)",$/\1/p' <<<"$found")" = "$sum" ] || die "$module@$version is not what test/charts/schemas.txt says"
        cp -r --no-preserve=mode "$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$found")/$folder" "$into/$(basename "${module%/v[0-9]*}")" || return 1
    done <test/charts/schemas.txt
}
kubernetes_schemas() { kept schemas "schemas of Kubernetes, the Prometheus operator, cert-manager, VPAs, KEDA, Argo, Istio and the Gateway API" make_schemas test/charts/schemas.txt; }

# An external scaler in Go, to compare with.
make_peer() {
    local into=$1 go
    need_go
    cp -r bench/peers/go/. "$into" || return 1
    mkdir "$into/externalscaler"
    (
        cd "$into"
        GOBIN=$into/plugins "${go[@]}" install tool || exit 1
        python -m grpc_tools.protoc "-I$root/proto" --plugin=plugins/protoc-gen-go --plugin=plugins/protoc-gen-go-grpc \
            --go_out=externalscaler --go-grpc_out=externalscaler externalscaler.proto || exit 1
        "${go[@]}" build -trimpath -o scaler .
    )
}
go_peer() { kept peers/go "the scaler in Go" make_peer bench/peers/go/* proto/externalscaler.proto; }

make_js() { npm_modules "$1" test/protocol/js ci; }
grpc_js() { kept js "grpc-js" make_js test/protocol/js/package.json test/protocol/js/package-lock.json; }

# A job library of Node's. Its optional packages are native code for other systems, and not in every registry: `npm ci` would
# insist on them.
make_queues() { npm_modules "$1" test/brokers/js install --no-save --omit=optional; }
queues() { kept queues "BullMQ" make_queues test/brokers/js/package.json test/brokers/js/package-lock.json; }

make_browser() { npm_modules "$1" test/web/js ci; }
browser() { kept browser "playwright-core and axe-core" make_browser test/web/js/package.json test/web/js/package-lock.json; }

make_eslint() { cp tools/eslint/eslint.config.js "$1" && npm_modules "$1" tools/eslint ci; }
eslint() { kept eslint "ESLint" make_eslint tools/eslint/*; }

# The page of examples/memes-nats, in build/meme-frontend/dist.
make_frontend() {
    cp -r examples/memes-nats/frontend/. "$1" || return 1
    (cd "$1" && rm -rf node_modules dist && npm ci --include=dev --ignore-scripts --no-audit --no-fund --silent && npm run --silent build >/dev/null)
}
meme_frontend() {
    local files
    mapfile -t files < <(find examples/memes-nats/frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' | sort)
    kept meme-frontend "the page of examples/memes-nats" make_frontend "${files[@]}"
}

# KEDA's scalers are one package, which imports the clients of every cloud: all of it is twice as many packages to
# compile as what the files need that are compared, and the one that has a constant of theirs. They are copied, as they
# are, out of the module, and that is the one of go.sum.
make_keda() {
    local go module into=$1
    local kept_files='scaler|(external|kafka|apache_kafka|nats_jetstream|metrics_api|postgresql|prometheus|rabbitmq|redis|redis_streams|azure_queue)_scaler'
    need_go
    cp test/parity/{go.mod,go.sum,main.go,poll.go} "$into" || return 1
    (
        cd "$into"
        "${go[@]}" mod download github.com/kedacore/keda/v2 || exit 1
        module=$("${go[@]}" list -m -f '{{.Dir}}' github.com/kedacore/keda/v2) || exit 1
        cp -r --no-preserve=mode "$module" module || exit 1
        find module/pkg/scalers -maxdepth 1 -name '*.go' -regextype posix-extended \
            -not -regex ".*/($kept_files)\.go" -delete || exit 1
        "${go[@]}" mod edit -replace=github.com/kedacore/keda/v2=./module || exit 1
        "${go[@]}" build -trimpath -ldflags='-s -w' -o keda . 2> >(grep -v '^go: downloading' >&2)
    )
}
keda_scalers() { kept keda "KEDA's own scalers" make_keda test/parity/{go.mod,go.sum,main.go,poll.go}; }
