#!/usr/bin/env bash
# Berth as people install it: its image, its chart, and a cluster of kind. It asks the gate from outside, lets a replica
# go, and removes everything again.
#
#   npm run test:kind                  needs docker, kind, helm and kubectl, and a network to pull base images from
#   npm run test:kind -- --keep        leaves the cluster for a look
#   npm run test:kind -- --dry-run     prints the steps, and needs nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cluster=berth-test
image=docker.io/library/berth:kind
dry_run=false
keep=false
passed=0
failed=0

main() {
  for word in "$@"; do
    case $word in
      --dry-run) dry_run=true ;;
      --keep) keep=true ;;
      *) die "unknown argument $word" ;;
    esac
  done
  need docker kind helm kubectl
  kubeconfig=$(mktemp)
  trap clean_up EXIT
  # Whatever cluster the person works with, this run never sees it.
  export KUBECONFIG=$kubeconfig

  section "A cluster"
  step kind create cluster --name "$cluster" --wait 120s
  section "The image"
  step scripts/build-image.sh "$image" --load
  step kind load docker-image "$image" --name "$cluster"
  section "A Harbor"
  step kubectl apply --filename test/kind/stand-in-harbor.yaml
  step kubectl --namespace registries rollout status deployment/harbor --timeout 120s
  section "Berth"
  step helm install berth deploy/chart --namespace berth-system --create-namespace --wait --timeout 5m \
    --set image.registry=docker.io --set image.repository=library/berth --set image.tag=kind \
    --set image.pullPolicy=Never --set policy.mode=enforce \
    --set "exemptNamespaces={kube-system,local-path-storage,registries}"
  step kubectl apply --filename test/kind/policy.yaml

  section "The gate"
  within 60 "a namespace of a workspace gets its pull secret" kubectl --namespace shop get secret berth-pull
  admits "a public space is open to everybody" lab harbor.example.test/library/app:1
  admits "a private one to the workspace that it is bound to" shop harbor.example.test/team-a/app:1
  refuses "and to no other" lab harbor.example.test/team-a/app:1 'not bound to workspace "13"'
  refuses "a registry of nobody's is closed" shop docker.io/library/nginx:1 'nginx'
  step kubectl --namespace shop run puller --image harbor.example.test/team-a/app:1
  holds "a Pod that needs the pull secret names it" berth-pull \
    kubectl --namespace shop get pod puller --output 'jsonpath={.spec.imagePullSecrets[*].name}'

  section "One replica fewer"
  step kubectl --namespace berth-system delete --wait=false "$(a_replica)"
  refuses "the other one keeps the gate" lab harbor.example.test/team-a/app:1 'not bound to workspace "13"'
  step kubectl --namespace berth-system rollout status deployment/berth --timeout 120s

  section "The end"
  step kubectl delete validatingwebhookconfiguration,mutatingwebhookconfiguration berth
  step kubectl --namespace berth-system scale deployment berth --replicas 0
  step kubectl --namespace berth-system wait pod --selector app.kubernetes.io/name=berth --for delete --timeout 120s
  step kubectl --namespace berth-system create serviceaccount cleanup
  step kubectl create clusterrolebinding berth-cleanup --clusterrole cluster-admin \
    --serviceaccount berth-system:cleanup
  # In the cluster, since the Harbor cannot be reached from outside it.
  step kubectl --namespace berth-system run cleanup --image "$image" --image-pull-policy Never --restart Never \
    --overrides '{"spec": {"serviceAccountName": "cleanup"}}' -- cleanup
  step kubectl --namespace berth-system wait pod/cleanup --for jsonpath='{.status.phase}'=Succeeded --timeout 120s
  holds "cleanup leaves nothing" ", 0 left" kubectl --namespace berth-system logs cleanup
  holds "and no pull secret is there any more" "" \
    kubectl get secrets --all-namespaces --field-selector metadata.name=berth-pull --output name
  step helm uninstall berth --namespace berth-system --wait
  step kubectl delete namespace berth-system --timeout 120s

  section "Result"
  "$dry_run" && { echo "nothing was tried: these are the steps"; return; }
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

die() {
  echo "$1" >&2
  exit 2
}

need() {
  "$dry_run" && return
  local tool missing=()
  for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  [ "${#missing[@]}" -eq 0 ] || die "not run: ${missing[*]} is missing"
  docker info >/dev/null 2>&1 || die "not run: no container engine answers docker"
}

clean_up() {
  "$dry_run" || "$keep" || kind delete cluster --name "$cluster" || true
  if "$keep"; then echo "kubeconfig: $kubeconfig"; else rm -f "$kubeconfig"; fi
}

section() { printf '\n==> %s\n' "$1"; }

show() { printf '+ %s\n' "${*@Q}"; }

# What has to succeed for the rest to make sense.
step() {
  show "$@"
  "$dry_run" || "$@"
}

pass() {
  passed=$((passed + 1))
  echo "ok: $1"
}

fail() {
  failed=$((failed + 1))
  echo "FAILED: $1: $2"
}

a_replica() {
  "$dry_run" && { echo "pod/<one of them>"; return; }
  kubectl --namespace berth-system get pods --selector app.kubernetes.io/name=berth --output name | head -n 1
}

# within <seconds> <what> <command…>
within() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  show "$@"
  "$dry_run" && return
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || { fail "$what" "not in time"; return; }
    sleep 1
  done
  pass "$what"
}

# holds <what> <text> <command…>: the output has the text; is empty where the text is.
holds() {
  local what=$1 text=$2 output
  shift 2
  show "$@"
  "$dry_run" && return
  output=$("$@" 2>&1) || true
  if [ "$output" = "$text" ] || { [ -n "$text" ] && [[ $output == *"$text"* ]]; }; then
    pass "$what"
  else
    fail "$what" "$output"
  fi
}

# admits <what> <namespace> <image>. Asked as a dry run, of the API server and so of Berth.
admits() {
  holds "$1" created kubectl --namespace "$2" run asked --image "$3" --dry-run=server
}

# refuses <what> <namespace> <image> <words of the refusal>
refuses() {
  holds "$1" "$4" kubectl --namespace "$2" run asked --image "$3" --dry-run=server
}

main "$@"
