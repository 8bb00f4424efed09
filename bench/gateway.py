"""What mcp-authz adds to a call that passes a real Envoy: the same call with and without the check, in turns.

The server behind is Envoy itself, with one constant answer: what is left is the gateway and the check. The client's
workload is named by a header here, since h2load shows no certificates.
"""

import json
import statistics
import subprocess

from parts import ROOT, WORK, Server, accepts, fail, free_port, until

CALLS = 1000
ENVOY = ROOT / ".tools/venv/bin/envoy"
EXTENSION = "type.googleapis.com/envoy.extensions"
# Headers that h2load or Envoy write themselves.
OWN = (":", "content-length", "x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-envoy")


def listener(name, port, filters):
    router = {"name": "router", "typed_config": {"@type": f"{EXTENSION}.filters.http.router.v3.Router"}}
    answer = {"status": 200, "body": {"inline_string": "{}"}}
    route = {
        "match": {"prefix": "/"},
        "direct_response": answer,
        "typed_per_filter_config": {
            "ext_authz": {
                "@type": f"{EXTENSION}.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                "check_settings": {"context_extensions": {"server": "workbench"}},
            }
        } if filters else {},
    }
    manager = {
        "@type": f"{EXTENSION}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": True,
        "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters + [router],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": address(port), "filter_chains": [chain]}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def configuration(plain, checked, grpc):
    check = {
        "@type": f"{EXTENSION}.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "mcp_authz"}, "timeout": "1s"},
        "with_request_body": {"max_request_bytes": 1048576, "allow_partial_message": True, "pack_as_bytes": True},
        "encode_raw_headers": True,
    }
    http2 = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{EXTENSION}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    endpoint = {"endpoint": {"address": address(grpc)}}
    cluster = {
        "name": "mcp_authz",
        "type": "STATIC",
        "typed_extension_protocol_options": http2,
        "load_assignment": {"cluster_name": "mcp_authz", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    filters = [{"name": "ext_authz", "typed_config": check}]
    listeners = [listener("plain", plain, []), listener("checked", checked, filters)]
    return {"static_resources": {"listeners": listeners, "clusters": [cluster]}}


def p50(port):
    """The median time of one call at a time, in milliseconds."""
    log = WORK / "envoy.tsv"
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-n", CALLS, "-c", 1, "-t", 1, "-d", WORK / "call.json", "--log-file", log]
    for line in (WORK / "call.headers").read_text().splitlines():
        if not line.startswith(OWN):
            command += ["-H", line]
    command.append(f"http://127.0.0.1:{port}/workbench/mcp")
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    if f"status codes: {CALLS} 2xx" not in done.stdout:
        fail(f"h2load against Envoy:\n{done.stdout}{done.stderr}\n{(WORK / 'envoy.log').read_text()[-2000:]}")
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    return statistics.median(int(row[2]) for row in rows) / 1000


def calls(rounds):
    """How many calls pass the check in so many rounds."""
    return (rounds + 1) * CALLS


def added(grpc, rounds):
    """What the check adds to the median time of a call, in milliseconds: the median of the rounds."""
    plain, checked = free_port(), free_port()
    file = WORK / "envoy.json"
    file.write_text(json.dumps(configuration(plain, checked, grpc)))
    envoy = Server("envoy", [ENVOY, "-c", file, "--concurrency", "1", "--log-level", "warning"], checked)
    try:
        for port in (plain, checked):
            until("Envoy", lambda: accepts(port))
            p50(port)
        return statistics.median(p50(checked) - p50(plain) for _ in range(rounds))
    finally:
        envoy.stop()
