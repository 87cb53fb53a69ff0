# What examples/up, forward and down share: reading the example's `cluster` file, and running kubectl and helm.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
examples=$root/examples
shared=backlog-examples   # the ConfigMap that says which examples are up, and the namespace of their monitoring
ours=backlog-examples=yes # the label of Helm's releases that `up` made: they have it from the first moment, also if Helm then fails

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

names() { (cd "$examples" && echo */cluster | sed 's|/cluster||g'); }

usage() {
    say "usage: examples/${0##*/} NAME [--context CONTEXT]$1"
    say "NAME: $(names)"
}

# Sets name, context, no_images, umbrella and istio, and what examples/NAME/cluster sets:
#   namespace   of the example
#   images      NAME=FOLDER of each image that is built, FOLDER in the repository
#   umbrella_chart  of --umbrella, a folder beside the examples; the release has the namespace's name
#   needs       parts of the cluster: keda metrics-server vpa; examples/up adds kube-state-metrics
#   secrets     NAME=PASSWORD of each Secret for Backlog, in namespace keda
#   forwards    NAMESPACE/OBJECT=LOCAL:REMOTE=WHAT of each port
#   connections of Backlog, for `down`
arguments() {
    name='' context='' no_images='' umbrella='' istio=''
    while [ $# -gt 0 ]; do
        case $1 in
            --context) context=${2:?--context needs the name of a context of kubectl} && shift 2 ;;
            --no-images) no_images=yes && shift ;;
            --umbrella) umbrella=yes && shift ;;
            --istio) istio=yes && shift ;;
            -h | --help) usage " [--no-images] [--umbrella] [--istio]" && exit 0 ;;
            -*) die "unknown option $1" ;;
            *) [ -z "$name" ] || die "one example at a time"; name=$1 && shift ;;
        esac
    done
    if [ -z "$name" ] || [ ! -e "$examples/$name/cluster" ]; then
        usage " [--no-images] [--umbrella] [--istio]" >&2
        exit 2
    fi
    namespace='' umbrella_chart='' images=() needs=() secrets=() forwards=() connections=()
    # shellcheck source=/dev/null
    . "$examples/$name/cluster"
    [ -z "$umbrella" ] || [ -n "$umbrella_chart" ] || die "$name has no umbrella chart: leave --umbrella out"
    [ -z "$istio" ] || [ -d "$examples/$name/routes/istio" ] || die "$name has no routes of Istio: leave --istio out"
    read -ra kubectl <<<"${KUBECTL:-kubectl}"
    read -ra helm <<<"${HELM:-helm}"
    command -v "${kubectl[0]}" >/dev/null || die "kubectl is missing: install it, or set KUBECTL"
    [ -n "$context" ] || context=$(command "${kubectl[@]}" config current-context 2>/dev/null) ||
        die "kubectl has no current context: kubectl config get-contexts lists them; give --context"
}

kube() { command "${kubectl[@]}" --context "$context" "$@"; }
helm() { command "${helm[@]}" --kube-context "$context" "$@"; }

# What is not known is not taken for missing: without an answer of the cluster the script ends. Within $(...) only that ends, and
# the caller does by `|| exit`.
known() { "$@" || die "the cluster did not say what it has, so nothing more was changed: try again"; }
exists() {
    local found
    found=$(known kube get --ignore-not-found -o name "$@") || exit
    [ -n "$found" ]
}

# Whether Helm has the release NAMESPACE NAME in one of the states, which are flags of `helm list`, as is --selector. By itself it
# does not show pending ones.
unfinished=(--failed --pending --superseded --uninstalling)
has_release() {
    local found
    found=$(known helm list --namespace "$1" --filter "^$2\$" --short "${@:3}") || exit
    [ -n "$found" ]
}
is_release() { has_release "$1" "$2" --deployed "${unfinished[@]}" "${@:3}"; }
is_ours() { is_release "$1" "$2" --selector "$ours"; }

# Helm leaves the definitions of the VPA, by which `up` finds one.
remove_vpa_definitions() {
    kube delete --ignore-not-found crd verticalpodautoscalers.autoscaling.k8s.io verticalpodautoscalercheckpoints.autoscaling.k8s.io >/dev/null
}

# Helm, at the version of test/tools/go.mod, where there is none.
find_helm() {
    command -v "${helm[0]}" >/dev/null && return
    helm=("$root/build/tools/helm")
    [ ! -x "${helm[0]}" ] || return 0
    command -v go >/dev/null || die "helm is missing: install it, or Go, with which this script installs it"
    say "installing helm into build/tools, as test/tools/go.mod has it ..."
    mkdir -p "$root/build/tools"
    (cd "$root/test/tools" && CGO_ENABLED=0 GOBIN=$root/build/tools go install -trimpath helm.sh/helm/v3/cmd/helm)
}

# The examples that are up are in the ConfigMap, as example-NAME.
record() { kube -n "$shared" patch configmap "$shared" --type merge -p "{\"data\":{\"$1\":$2}}" >/dev/null; }

# Their names.
up_examples() {
    local keys
    # shellcheck disable=SC2016 # the variables are the template's
    keys=$(known kube -n "$shared" get configmap "$shared" --ignore-not-found -o 'go-template={{range $key, $value := .data}}{{$key}}{{"\n"}}{{end}}') || exit
    sed -n 's/^example-//p' <<<"$keys"
}

is_up() {
    local up
    up=$(up_examples) || exit
    grep -qx "$1" <<<"$up"
}

# Their namespaces, but for that of $1, as JSON, for --set-json of Helm. Backlog's chart has objects in each, so it must be there.
worker_namespaces() {
    local up example namespace found=()
    up=$(up_examples) || exit
    for example in $up; do
        namespace=$(sed -n 's/^namespace=//p' "$examples/$example/cluster")
        if [ "$example" != "$1" ] && exists "namespace/$namespace"; then
            found+=("\"$namespace\"")
        fi
    done
    (IFS=, && echo "[${found[*]}]")
}
