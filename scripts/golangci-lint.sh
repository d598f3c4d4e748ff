#!/usr/bin/env bash
# Prints the path of golangci-lint at the version that .golangci.yml was written
# for. One that is already here is used; else it is built into the given folder
# (several minutes on two cores).
#
# usage: scripts/golangci-lint.sh FOLDER
set -euo pipefail

readonly version=2.15.0
readonly folder=${1:?usage: golangci-lint.sh FOLDER}
go=${GO:-go}

is_wanted() { # PATH: is it a program of just this version?
  [[ -x $1 && $("$1" version --short 2>/dev/null) == "$version" ]]
}

gobin=$("$go" env GOBIN)
gopath=$("$go" env GOPATH)
on_path=$(command -v golangci-lint || true)
for candidate in "$folder/golangci-lint" "${gobin:-${gopath%%:*}/bin}/golangci-lint" "$on_path"; do
  if [[ -n $candidate ]] && is_wanted "$candidate"; then
    printf '%s\n' "$candidate"
    exit 0
  fi
done

echo "building golangci-lint $version into $folder (once, some minutes)" >&2
mkdir -p "$folder"
# GOFLAGS of the caller, such as -mod or -tags, are about the project, not this tool.
GOFLAGS='' GOBIN=$(cd "$folder" && pwd) "$go" install \
  "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$version" >&2
if ! is_wanted "$folder/golangci-lint"; then
  echo "golangci-lint was built but does not call itself $version: $("$folder/golangci-lint" version --short)" >&2
  exit 1
fi
printf '%s\n' "$folder/golangci-lint"
