"""Programs that a bench starts: where they are, and when they are ready."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target/release"
WORK = ROOT / "target/bench"
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


def mcp_authz(name, durability):
    """An mcp-authz that allows the prepared check; ready."""
    grpc, http = free_port(), free_port()
    prepare = [RELEASE / "examples/bench", "configure", WORK, name, durability, str(grpc), str(http)]
    subprocess.run(prepare, check=True, cwd=ROOT)
    server = Server(name, [RELEASE / "mcp-authz", "serve", "--config", WORK / f"{name}.yaml"], grpc)
    until(name, lambda: answers(f"http://127.0.0.1:{http}/ready"))
    return server
