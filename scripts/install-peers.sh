#!/usr/bin/env bash
# Sees to it that the programs are here which tests run against. As root with
# apt-get it installs what is missing; otherwise it says what to install and
# exits 1. Those that Debian does not have are built by Go, which anybody may.
#
# usage: scripts/install-peers.sh [--check]     --check never installs
set -euo pipefail

# program, its Debian package, what tests do with it
readonly -a peers=(
  "cc        gcc            the race detector links with it"
  "git       git            the architecture test asks it for the tracked files"
  "curl      curl           an independent HTTPS client"
  "openssl   openssl        verifies chains, CRLs and OCSP answers"
  "certtool  gnutls-bin     verifies chains with GnuTLS"
  "ocsptool  gnutls-bin     asks OCSP with GnuTLS"
  "certutil  libnss3-tools  verifies chains with NSS"
  "nginx     nginx          serves what is deployed"
  "named     bind9          a name server that takes dynamic updates"
  "initdb    postgresql     the store on PostgreSQL"
  "pg_ctl    postgresql     the store on PostgreSQL"
  "postgres  postgresql     the store on PostgreSQL"
)

# program, what Go builds, its version, what tests do with it
readonly -a built=(
  "pebble                github.com/letsencrypt/pebble/v2  cmd/pebble                v2.10.1  an ACME server"
  "pebble-challtestsrv   github.com/letsencrypt/pebble/v2  cmd/pebble-challtestsrv   v2.10.1  its DNS server"
  "step-ca  github.com/smallstep/certificates  cmd/step-ca  v0.30.2  a CA that is not ours"
  "step     github.com/smallstep/cli           cmd/step     v0.30.2  its client"
)

# gcc alone has no C library to link with.
needed_with() {
  case $1 in
    gcc) echo libc6-dev ;;
  esac
}

find_program() {
  local name=$1 dir
  [[ -x $(type -P "$name") ]] && return
  for dir in /usr/local/sbin /usr/sbin /sbin /usr/lib/postgresql/*/bin; do
    [[ -x $dir/$name ]] && return
  done
  return 1
}

missing=()  # "program (Debian package p): what for"
packages=() # each once
look() {
  local line program package why
  missing=() packages=()
  for line in "${peers[@]}"; do
    read -r program package why <<<"$line"
    find_program "$program" && continue
    missing+=("$program (Debian package $package): $why")
    [[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package" $(needed_with "$package"))
  done
}

fail_with_list() {
  {
    echo "missing programs:"
    printf '  %s\n' "${missing[@]}"
    echo "$1"
  } >&2
  exit 1
}

# What is built lies where "go install" puts it, which is where tests look.
build_missing() { # [--check]
  local go=${GO:-go} folder line program module package version why
  folder=$("$go" env GOBIN)
  [[ -n $folder ]] || { folder=$("$go" env GOPATH) && folder=${folder%%:*}/bin; }
  missing=()
  for line in "${built[@]}"; do
    read -r program module package version why <<<"$line"
    if [[ -x $folder/$program && $("$go" version -m "$folder/$program") == *$'\tmod\t'"$module"$'\t'"$version"[[:space:]]* ]]; then
      continue
    fi
    if [[ ${1:-} == --check ]]; then
      missing+=("$program $version: $why")
      continue
    fi
    echo "building $program $version into $folder (once, a minute or two)" >&2
    if ! GOFLAGS='' CGO_ENABLED=0 GOBIN=$folder "$go" install "$module/$package@$version" >&2; then
      echo "$program could not be built, see above; when that is mended, run: GOBIN=$folder $go install $module/$package@$version" >&2
      exit 1
    fi
  done
  ((${#missing[@]} == 0)) || fail_with_list "run: scripts/install-peers.sh"
}

look
if ((${#missing[@]} == 0)); then
  build_missing "${1:-}"
  exit 0
fi
if [[ ${1:-} == --check || $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  fail_with_list "run: sudo apt-get install --no-install-recommends ${packages[*]}"
fi

printf 'installing for the tests: %s\n' "${packages[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${packages[@]}"; } </dev/null >&2; then
  fail_with_list "apt-get failed, see above; when that is mended, run: apt-get install --no-install-recommends ${packages[*]}"
fi
look
if ((${#missing[@]} > 0)); then
  fail_with_list "apt-get succeeded, yet they cannot be found in PATH, sbin or /usr/lib/postgresql/*/bin"
fi
build_missing
