"""Programs that a bench starts: where they are, and when they are ready."""

import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target/release"
WORK = ROOT / "target/bench"
# Of the server that is asked, the tool that is called among them.
TOOLS = ["fs_read", "fs_write", "db_read", "db_write"]
TICKS = os.sysconf("SC_CLK_TCK")


def fail(text):
    sys.exit(f"bench: {text}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, ready, seconds=60):
    """Waits until `ready` says so, a bounded time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    fail(f"{what} is not ready after {seconds} s")


def accepts(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


class Server:
    """A program that is asked."""

    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.log = WORK / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()


def mcp_authz(name, durability="queued", settings=None):
    """An mcp-authz that allows the prepared check; ready. `settings` are put over the usual ones."""
    grpc, http = free_port(), free_port()
    prepare = [RELEASE / "examples/bench", "configure", WORK, name, durability, str(grpc), str(http)]
    subprocess.run([*prepare, json.dumps(settings or {})], check=True, cwd=ROOT)
    server = Server(name, [RELEASE / "mcp-authz", "serve", "--config", WORK / f"{name}.yaml"], grpc)
    until(name, lambda: answers(f"http://127.0.0.1:{http}/ready"))
    return server


def policies(count):
    """A directory of the repository's policies and so many more. None of these is about the user who asks, so as many are
    candidates as without them."""
    folder = WORK / f"policies-{count}"
    shutil.copytree(ROOT / "policies", folder, ignore=shutil.ignore_patterns("tests"), dirs_exist_ok=True)
    text = (
        f'@id("more-{number:05}")\n@reason("User {number} may call {tool}")\n'
        f'permit (principal == User::"https://id.example/realms/mcp#user-{number}", action == Action::"workbench/{tool}", resource);\n'
        for number, tool in zip(range(count), itertools.cycle(TOOLS))
    )
    (folder / "more.cedar").write_text("\n".join(text))
    return {"policies": {"directory": str(folder)}}
