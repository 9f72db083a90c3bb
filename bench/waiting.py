"""200 iterations that each wait 50 ms for a web server on this machine, against a pool of 64 threads.

The plain loop takes 10 s by arithmetic. `python bench/waiting.py` prints the medians of 5 runs.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from allcores import parallel

COUNT, SECONDS, RUNS = 200, 0.05, 5
SERVER = f"""
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Slow(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep({SECONDS})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
    def log_message(self, *given):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

server = Server(("127.0.0.1", 0), Slow)
print(server.server_port, flush=True)
server.serve_forever()
"""


def fetch(url: str) -> bytes:
    """What the server answers."""
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def in_parallel(urls: list[str]) -> list[bytes]:
    pages = []
    for url in parallel(urls):
        pages.append(fetch(url))
    return pages


def in_threads(urls: list[str]) -> list[bytes]:
    with ThreadPoolExecutor(64) as pool:
        return list(pool.map(fetch, urls))


def seconds(run: Callable[[list[str]], list[bytes]], urls: list[str]) -> float:
    start = time.perf_counter()
    assert run(urls) == [f"/{k}".encode() for k in range(COUNT)]
    return time.perf_counter() - start


def main() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            urls = [f"http://127.0.0.1:{port}/{k}" for k in range(COUNT)]
            fetch(urls[0])
            ours = [seconds(in_parallel, urls) for _ in range(RUNS)]
            pool = [seconds(in_threads, urls) for _ in range(RUNS)]
        finally:
            server.kill()
    plain = COUNT * SECONDS
    for name, took in (("allcores", median(ours)), ("ThreadPoolExecutor(64)", median(pool))):
        print(
            f"{name}: {took:.3f} s, {plain / took:.1f} times as fast as the plain loop's {plain:.0f} s"
        )


if __name__ == "__main__":
    main()
