# shellcheck shell=bash
# Debian packages: which there are, and installing those that are missing. ./dev sources it.

# One version of the formatter everywhere: two would format each other's work.
LLVM=19

# group    package                   what it is for
PACKAGES='
build      gcc                       the compiler; its sanitizers come along
build      libc6-dev                 the C library
build      cmake                     the build
build      ninja-build               the build
build      pkgconf                   finds the libraries below
build      protobuf-c-compiler       proto/*.proto to C
build      libprotobuf-c-dev         messages
build      libnghttp2-dev            --transport nghttp2
build      libevent-dev              its loop
build      libgrpc-dev               --transport grpc-core; a client of the tests
build      zlib1g-dev                its compressed messages
build      libssl-dev                keyed hashes, TLS
build      libyaml-dev               the connections file
build      uthash-dev                hash tables
build      librdkafka-dev            scaler: kafka
build      libnats-dev               scaler: nats-jetstream
build      librabbitmq-dev           scaler: rabbitmq
build      libpcre2-dev              its patterns
build      libhiredis-dev            scalers: redis and redis-streams
build      libcurl4-openssl-dev      HTTP APIs of the sources
build      libjansson-dev            HTTP APIs of the sources
build      libpq-dev                 scaler: postgresql
run        libsasl2-modules-gssapi-mit  scaler: kafka, sasl: gssapi
run        ca-certificates           the public authorities
tests      libcmocka-dev             unit tests
tests      mold                      links hundreds of them, in a third of the time
npm        npm                       fetches uPlot, with which the dashboard plots, clients and tools
npm        nodejs                    runs them
go         golang-go                 builds clients and tools, Kubernetes and KEDA
kafka      default-jre-headless      a real Kafka for the tests, from jars
kafka      maven                     fetches these jars
python     python3                   tests, demo, benchmark, layer check
python     python3-venv              build/venv
python     ca-certificates           pip, go and mvn fetch over TLS
protocol   nghttp2-server            the sample server that h2spec is asked about, too
protocol   groff-base                checks the man page
protocol   zsh                       its completion
protocol   fish                      its completion
brokers    nats-server               a real NATS for tests and demo
brokers    rabbitmq-server           a real RabbitMQ for tests and demo
brokers    redis-server              a real Redis for the tests
brokers    postgresql                a real PostgreSQL for the tests
brokers    pgbouncer                 a real PgBouncer for the tests
brokers    prometheus                a real Prometheus for the tests
brokers    curl                      uploads to an example, as its users do
brokers    libfaketime               a clock that jumps
brokers    tmux                      a real terminal, for backlog watch
brokers    patch                     takes the diffs of backlog migrate
valkey     valkey-server             beside Redis, for ./dev test matrix
upstream   patch                     takes docs/upstream/*.patch
docs       redis-server              what the pages measure
docs       curl                      commands of the pages
docs       jq                        the same
docs       iproute2                  a network of its own for each page
web        chromium                  the dashboard in a real browser
web        redis-server              what the dashboard shows
web        rabbitmq-server           what it shows of a queue with acknowledgements
web        nats-server               what the page of an example talks to
examples   ffmpeg                    converts videos
kerberos   krb5-kdc                  a real Kerberos for the tests
kerberos   krb5-admin-server         adds its users
fuzz       clang-'$LLVM'                  libFuzzer comes with it
fuzz       libclang-rt-'$LLVM'-dev        and with its run-time library
bench      nghttp2-client            h2load
image      buildah                   builds the image
image      netavark                  its network
image      debootstrap               makes its base
pods       docker.io                 builds the images of pods
pods       containerd                runs them
pods       runc                      starts their processes
pods       containernetworking-plugins  connects them
pods       nftables                  Services
pods       iptables                  the way out of pods
pods       slirp4netns               their network
pods       iproute2                  the same
pods       busybox-static            an image for workers that only wait
pods       debootstrap               makes the base of the images
lint       clang-format-'$LLVM'           the format
lint       clang-tidy-'$LLVM'             the findings
lint       shellcheck                ./dev and its parts
'

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "this needs root, or sudo: $*"
        sudo "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 "$@"
}

# A network is not always there at once.
persistently() {
    local try
    for try in 1 2 3; do
        "$@" && return
        say "dev: try $try of 3 failed: $*"
        sleep $((try * 5))
    done
    die "gave up: $*"
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] && return
    # These may as well come from elsewhere, as long as they are there.
    case $1 in
        python3 | cmake | nats-server) command -v "$1" >/dev/null ;;
        default-jre-headless) command -v java >/dev/null ;;
        maven) command -v mvn >/dev/null ;;
        golang-go) find_go >/dev/null ;;
        nodejs) command -v node >/dev/null ;;
        npm) command -v npm >/dev/null ;;
        *) return 1 ;;
    esac
}

missing_packages() {
    local group package
    while read -r group package _; do
        if [[ " $* " == *" $group "* ]] && ! is_installed "$package"; then
            echo "$package"
        fi
    done <<<"$PACKAGES"
}

has_systemd() {
    local state
    state=$(systemctl is-system-running 2>/dev/null) || true
    [ -n "$state" ] && [ "$state" != offline ]
}

# Tests start brokers of their own. One that apt installs for them must not become a service of this machine, so its unit
# is masked while it is installed, however that ends, and then disabled. Units that are there already are somebody's: they
# stay as they are. Nothing is stopped.
install_quietly() (
    units=()
    if has_systemd; then
        for unit in {rabbitmq-server,nats-server,redis-server,valkey-server,postgresql,pgbouncer,prometheus,krb5-kdc,krb5-admin-server,epmd,docker,containerd}.service {epmd,docker}.socket; do
            systemctl cat "$unit" >/dev/null 2>&1 || units+=("$unit")
        done
    fi
    unmask() {
        trap - EXIT
        [ ${#units[@]} = 0 ] || as_root systemctl --quiet --runtime unmask "${units[@]}" 2>/dev/null || true
    }
    trap unmask EXIT
    trap 'exit 129' HUP
    trap 'unmask; trap - INT; kill -INT "$BASHPID"' INT # by it, or the shell above would go on to the next try
    trap 'exit 143' TERM
    [ ${#units[@]} = 0 ] || as_root systemctl --quiet --runtime mask "${units[@]}" 2>/dev/null || true
    status=0 log=$(mktemp)
    apt install --no-install-recommends "$@" >"$log" 2>&1 || { status=$? && cat "$log" >&2; }
    rm -f "$log"
    unmask
    for unit in "${units[@]}"; do
        ! systemctl cat "$unit" >/dev/null 2>&1 || as_root systemctl --quiet disable "$unit" 2>/dev/null || true
    done
    exit $status
)

install() {
    [ $# -gt 0 ] || set -- build run tests npm go kafka python protocol brokers web examples kerberos fuzz bench image lint
    local group packages
    for group in "$@"; do
        [[ $PACKAGES == *$'\n'"$group "* ]] || die "install: no group $group; there are $(awk 'NF { print $1 }' <<<"$PACKAGES" | sort -u | xargs)"
    done
    mapfile -t packages < <(missing_packages "$@")
    [ ${#packages[@]} -gt 0 ] || return 0
    say "dev: installing missing Debian packages: ${packages[*]}"
    persistently apt update
    persistently install_quietly "${packages[@]}"
}
