#!/bin/sh
# Writes proto/ext_authz.bin, the descriptors that gRPC reflection serves, from the .proto files that the crate
# `envoy-types` ships. Run it after every update of that crate; a test names the fields that both must have.
# Needs protoc 3.21 or newer and python3.
set -eu
cd "$(dirname "$0")/.."
manifest=$(cargo metadata --format-version 1 --locked |
    python3 -c 'import json, sys; print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "envoy-types"))')
source=$(dirname "$manifest")/proto
protoc -I "$source/data-plane-api" -I "$source/googleapis" -I "$source/protoc-gen-validate" -I "$source/xds" \
    --include_imports --descriptor_set_out=proto/ext_authz.bin envoy/service/auth/v3/external_auth.proto
