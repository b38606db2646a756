#!/usr/bin/env bash
# Builds the image: scripts/build-image.sh <name:tag> [<more arguments of docker buildx build>]. The base images are
# taken by digest: those of NODE_DIGEST and RUNTIME_DIGEST, else what their tags lead to at this moment, which is
# printed so that the next build can be told the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tag=${1:?usage: scripts/build-image.sh <name:tag> [<more arguments of docker buildx build>]}
shift

main() {
  local node=${NODE_DIGEST:-} runtime=${RUNTIME_DIGEST:-}
  [ -n "$node" ] || node=$(digest_of "$(default_of NODE_IMAGE)")
  [ -n "$runtime" ] || runtime=$(digest_of "$(default_of RUNTIME_IMAGE)")
  printf 'NODE_DIGEST=%s\nRUNTIME_DIGEST=%s\n' "$node" "$runtime"
  docker buildx build --build-arg "NODE_DIGEST=$node" --build-arg "RUNTIME_DIGEST=$runtime" --tag "$tag" "$@" .
}

# The image that the Dockerfile names.
default_of() { sed -n "s/^ARG $1=//p" Dockerfile; }

digest_of() { docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"; }

main "$@"
