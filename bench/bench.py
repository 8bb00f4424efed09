"""What a check costs: mcp-authz against `examples/always_allow.rs`, in one run, in turns.

    make bench            (or: python3 bench/bench.py [--rounds 9] [--requests 30000])

Both are asked over plaintext loopback, with the same bytes, by h2load: 4 connections with 16 streams each. Each
round asks one after the other; a figure is the median of the rounds. Prints a table and, last, lines `name value`;
writes docs/benchmarks.md. Only ratios travel from machine to machine.

What many policies and many users cost is measured in the server's own time, which is the same however fast it is asked.
"""

import argparse
import gzip
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import time

import gateway
from parts import RELEASE, ROOT, WORK, Server, accepts, fail, free_port, mcp_authz, policies, until

PAGE = ROOT / "docs/benchmarks.md"
NOTES = ROOT / "bench/notes.md"
CONNECTIONS, STREAMS = 4, 16
OURS, STRICT, NOCACHE, THEIRS = "mcp-authz", "mcp-authz-strict", "mcp-authz-nocache", "always_allow"
FEW_POLICIES, MANY_POLICIES = 10, 10_000
FEW_USERS, MANY_USERS = 100, 100_000
# A usual installation, for its memory.
SOME_POLICIES, SOME_USERS = 1_000, 10_000
CHECK = "/envoy.service.auth.v3.Authorization/Check"


def ask(server, requests):
    """So many checks: rate, percentiles and the server's CPU for one."""
    log = WORK / "h2load.tsv"
    log.unlink(missing_ok=True)
    before = server.cpu_seconds()
    command = ["h2load", "-n", requests, "-c", CONNECTIONS, "-m", STREAMS, "-t", 1, "-d", WORK / "check.frame"]
    for header in ["content-type: application/grpc", "te: trailers", "grpc-timeout: 1S"]:
        command += ["-H", header]
    command += ["--log-file", log, f"http://127.0.0.1:{server.port}{CHECK}"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    cpu = server.cpu_seconds() - before
    counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    if not counts or [int(count) for count in counts.groups()] != [requests, 0, 0, 0]:
        fail(f"h2load against {server.name}:\n{done.stdout}{done.stderr}")
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    micros = sorted(int(row[2]) for row in rows)
    begin = min(int(row[0]) for row in rows)
    end = max(int(row[0]) + int(row[2]) for row in rows)
    return {
        "rate": requests / ((end - begin) / 1e6),
        "p50": micros[len(micros) // 2] / 1000,
        "p99": micros[len(micros) * 99 // 100] / 1000,
        "cpu": cpu / requests * 1e6,
    }


def recorded(name):
    """How many decisions were recorded, by outcome, in the journal of that name and in what was rotated away from it."""
    counts = {}
    for file in [WORK / f"{name}.jsonl", *WORK.glob(f"{name}-[0-9]*.jsonl*")]:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for line in lines:
                # What the journal notes of itself has no outcome.
                outcome = json.loads(line).get("outcome")
                if outcome:
                    counts[outcome] = counts.get(outcome, 0) + 1
        file.unlink()
    return counts


def measure(rounds, requests):
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    subprocess.run([RELEASE / "examples/bench", "prepare", WORK], check=True, cwd=ROOT)
    servers = []
    try:
        yardstick = free_port()
        servers.append(Server(THEIRS, [RELEASE / "examples/always_allow", f"127.0.0.1:{yardstick}"], yardstick))
        until(THEIRS, lambda: accepts(yardstick))
        servers.append(mcp_authz(OURS))
        servers.append(mcp_authz(STRICT, "disk"))
        servers.append(mcp_authz(NOCACHE, settings={"policies": {"decision_cache": "off"}}))
        for server in servers:
            ask(server, requests)
        results = {server.name: [] for server in servers}
        for _ in range(rounds):
            for server in servers:
                results[server.name].append(ask(server, requests))
        added = gateway.added(servers[1].port, rounds)
    finally:
        for server in servers:
            server.stop()
    # Every answer was an allow, and every one was recorded.
    for name in (OURS, STRICT, NOCACHE):
        asked = (rounds + 1) * requests + (gateway.calls(rounds) if name == OURS else 0)
        found = recorded(name)
        if found != {"allowed": asked}:
            fail(f"{asked} checks were asked of {name}, and this recorded: {found}")
    return results, added


def many_policies(rounds, requests):
    """What a check costs among ten thousand policies, against ten."""
    few, many = (mcp_authz(f"policies-{count}", settings=policies(count)) for count in (FEW_POLICIES, MANY_POLICIES))
    try:
        for server in (few, many):
            ask(server, requests)
        return statistics.median(ask(many, requests)["cpu"] / ask(few, requests)["cpu"] for _ in range(rounds))
    finally:
        for server in (few, many):
            server.stop()


def while_loading(rounds, requests):
    """The p99 of checks while ten thousand policies are loaded anew, against that of a while in which nothing is."""
    settings = policies(MANY_POLICIES)
    file = pathlib.Path(settings["policies"]["directory"]) / "more.cedar"
    server = mcp_authz("loading", settings=settings)
    loads = lambda: server.log.read_text(errors="replace").count("policies loaded")
    ratios = []
    try:
        ask(server, requests)
        for number in range(rounds):
            quiet, loaded = ask(server, requests)["p99"], loads()
            # Every policy is another one, and validated anew.
            file.write_text(re.sub(r"(@reason\(\"User \d+)[^ ]* ", rf"\1,{number} ", file.read_text()))
            # It has been told by then, and waits for more no longer.
            time.sleep(0.3)
            ratios.append(ask(server, requests)["p99"] / quiet)
            if loads() != loaded:
                fail("the policies were loaded before all checks were asked: ask fewer of them")
            until("the policies", lambda: loads() > loaded)
        return statistics.median(ratios)
    finally:
        server.stop()


def ask_users(server, users, checks):
    """Asks for so many users in turn; the server's CPU for one check."""
    before = server.cpu_seconds()
    command = [RELEASE / "examples/bench", "ask", WORK, server.port, users, checks]
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, timeout=600)
    return (server.cpu_seconds() - before) / checks * 1e6


def many_users(rounds):
    """What a check costs among a hundred thousand users whose tokens are known, against a hundred."""
    # Room for what is kept of each, of which a hundred take little.
    server = mcp_authz("users", settings={"identity": {"verified_tokens": 4 * MANY_USERS}})
    try:
        for users in (MANY_USERS, FEW_USERS):
            ask_users(server, users, users)
        ratio = lambda: ask_users(server, MANY_USERS, MANY_USERS) / ask_users(server, FEW_USERS, MANY_USERS)
        return statistics.median(ratio() for _ in range(rounds))
    finally:
        server.stop()


def memory():
    """Resident memory with a usual number of policies and of tokens that are known: ready, and after all asked four times."""
    settings = policies(SOME_POLICIES) | {"identity": {"verified_tokens": 4 * SOME_USERS}}
    server = mcp_authz("memory", settings=settings)
    try:
        ready = server.resident_mb()
        ask_users(server, SOME_USERS, 4 * SOME_USERS)
        return ready, server.resident_mb()
    finally:
        server.stop()


def inside(what):
    """What is measured inside of one process."""
    output = subprocess.run([RELEASE / "examples/bench", what], check=True, capture_output=True, text=True)
    return [tuple(line.split()) for line in output.stdout.splitlines()]


def median(results, name, what):
    return statistics.median(result[what] for result in results[name])


def table(results):
    rows = [["", "checks/s", "lowest", "highest", "p50 ms", "p99 ms", "server CPU µs"]]
    for name, rounds in results.items():
        rates = [result["rate"] for result in rounds]
        rows.append(
            [name, f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}"]
            + [f"{median(results, name, what):.2f}" for what in ("p50", "p99")]
            + [f"{median(results, name, 'cpu'):.1f}"]
        )
    return rows


def aligned(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    )


def markdown(rows):
    head, *rest = rows
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rest]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures(results, added, ratios, resident):
    # Round by round, so that what disturbs the machine disturbs both sides of a ratio.
    def ratio(ours, what):
        pairs = zip(results[ours], results[THEIRS])
        return f"{statistics.median(a[what] / b[what] for a, b in pairs):.2f}"

    return [
        ("check_warm_vs_always_allow", ratio(OURS, "rate")),
        ("check_warm_p99_vs_always_allow", ratio(OURS, "p99")),
        ("check_nocache_vs_always_allow", ratio(NOCACHE, "rate")),
        ("check_strict_audit_vs_always_allow", ratio(STRICT, "rate")),
        ("check_cpu_us", f"{median(results, OURS, 'cpu'):.1f}"),
        ("envoy_added_p50_ms", f"{added:.2f}"),
        *((name, f"{value:.2f}") for name, value in ratios),
        *inside("reader"),
        *inside("policies"),
        *inside("lists"),
        ("rss_mb", f"{resident[1]:.0f}"),
    ]


def write_page(rows, lines, resident, options, load):
    version = subprocess.run(["h2load", "--version"], capture_output=True, text=True).stdout.split()[-1]
    frame = (WORK / "check.frame").stat().st_size
    text = f"""# Benchmarks

`make bench` writes this page. Absolute figures are those of one machine; what travels is the ratio to
`examples/always_allow.rs`, a tonic server that reads nothing and always says yes: what the transport alone costs.

{markdown(rows)}

```figures
{chr(10).join(f"{name} {value}" for name, value in lines)}
```

## How it was measured

- Both servers, optimised builds, on plaintext loopback; h2load of {version} with {CONNECTIONS} connections of {STREAMS} streams
  each, on the same {os.cpu_count()} cores ({platform.machine()}) as the servers. The load average was {load:.1f} before it began.
- The check: {frame} bytes, made by `examples/bench/frame.rs` as the shipped Envoy configuration sends it: a
  `tools/call` of 2026-07-28 with a valid ES256 token, the peer's certificate, the policies of this repository. It is
  allowed, and every decision of the run was found in the audit file afterwards. Old files of the audit aren't compressed
  meanwhile: at this rate that takes a processor of its own, in whatever round it falls.
- Warm: the same token and the same call again and again, after one round that isn't counted. The audit is on, into a file,
  without waiting for the disk.
- {options.rounds} rounds of {options.requests:,} checks, in turns. The table has the medians, and the lowest and highest rate; ratios are taken
  within a round, and their median is told.
- Times are those that h2load saw with {CONNECTIONS * STREAMS} checks always open: at full load they say how long the queue is.
- `mcp-authz-strict` answers only once its record is on disk (`audit.durability: disk`): what that costs depends on the disk
  and on how many answers wait for one write.
- `envoy_added_p50_ms`: the median time of a call through Envoy with the check, less that of the same call without it, one
  call at a time.
- `check_cpu_us` is the server's user and system time for one check, from `/proc`, and doesn't depend on the load generator.
- `reader_…`: megabytes a second of a text of one megabyte, of small objects and of long strings, on one thread.
- `mcp-authz-nocache` has no cache of decisions (`policies.decision_cache: off`); everything else is as it was.
- `ask_stranger_us`: microseconds for all principals of one call that nobody made before, with the shipped policies, on one thread;
  `policies_10k_vs_10`: how many times that it is with 10,000 more policies over 500 more tools, none of which the call is in the scope of.
- `check_policies_10k_vs_10`: the server's time for the same check where there are {MANY_POLICIES:,} policies more, against {FEW_POLICIES} more. They are
  about other users, so as many policies are candidates.
- `users_100k_vs_100`: the server's time for a check where {MANY_USERS:,} users ask in turn, each with a token that is known,
  against {FEW_USERS}.
- `p99_while_loading`: the p99 of as many checks at once as above while {MANY_POLICIES:,} policies are loaded anew beside them, against that of a while
  in which nothing is.
- `load_10k_policies_s`: seconds in which 10,000 policies over 500 tools were read, indexed and validated, on one thread.
- `rss_mb`: resident memory with {SOME_POLICIES:,} policies and {SOME_USERS:,} tokens that are known, after each asked four times; it was {resident[0]:.0f} MB
  when the server was ready.
- `list_500_tools_cold_ms`: milliseconds in which it is worked out, with 1,000 policies and from the policies alone, which of 500 tools some call of
  a person with ten roles, through a workload, could be allowed, and the others are taken off a list of half a kilobyte for each;
  `list_500_tools_known_ms`: the same once that is worked out. On one thread. No gateway asks for it over `ext_authz`, which sees no answers of servers.
"""
    if NOTES.is_file():
        text += "\n" + NOTES.read_text()
    PAGE.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=30000, help="in each round")
    options = parser.parse_args()
    if not shutil.which("h2load"):
        fail("h2load is missing: apt-get install nghttp2-client (Debian), or its like")
    if not gateway.ENVOY.exists():
        fail("Envoy is missing: make tools")
    if not 1 <= options.rounds <= 100 or not 1000 <= options.requests <= 1000000:
        fail("from 1 to 100 rounds of 1000 to 1000000 requests")
    load = os.getloadavg()[0]
    results, added = measure(options.rounds, options.requests)
    subprocess.run([RELEASE / "examples/bench", "users", WORK, str(MANY_USERS)], check=True, cwd=ROOT)
    ratios = [
        ("check_policies_10k_vs_10", many_policies(options.rounds, options.requests)),
        ("users_100k_vs_100", many_users(min(options.rounds, 5))),
        ("p99_while_loading", while_loading(options.rounds, options.requests)),
    ]
    resident = memory()
    rows = table(results)
    lines = figures(results, added, ratios, resident)
    write_page(rows, lines, resident, options, load)
    print(aligned(rows))
    print()
    for name, value in lines:
        print(name, value)


if __name__ == "__main__":
    main()
