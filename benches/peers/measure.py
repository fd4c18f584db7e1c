"""Processes, a server and a slow link, and what they are found to use."""

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections import namedtuple
from pathlib import Path

#: `own` is the peak of memory without pages of files, which the kernel may take back at any time.
Run = namedtuple("Run", "seconds cpu peak own said")


class Failed(Exception):
    """A program that did not do its work."""


CONFIG = """
worker_processes 1;
daemon off;
pid {root}/../nginx.pid;
error_log {root}/../nginx.err;
events {{ worker_connections 256; }}
http {{
    log_format sent '$bytes_sent';
    access_log {root}/../nginx.log sent;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path {root}/../tmp; proxy_temp_path {root}/../tmp;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Memory:
    """Watches a process: what wait4 tells would include the memory of the one that started it."""

    def __init__(self, pid: int):
        self.status = Path(f"/proc/{pid}/status")
        self.most = {"VmHWM:": 0, "RssAnon:": 0}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.is_over.wait(0.002):
            try:
                for line in self.status.read_text().splitlines():
                    key = line.split(maxsplit=1)[0]
                    if key in self.most:
                        self.most[key] = max(self.most[key], int(line.split()[1]) * 1024)
            except OSError:
                return

    def peaks(self) -> tuple[int, int]:
        self.is_over.set()
        self.thread.join()
        return tuple(self.most.values())


def measured(command: list, stdin=None, is_heard: bool = False) -> Run:
    """Runs a command to its end; fails if it fails. What it prints is thrown away unless somebody wants to hear it."""
    started = time.monotonic()
    words = [str(word) for word in command]
    with open(os.devnull, "r+b") as null, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as answer:
        stdout = answer if is_heard else null
        process = subprocess.Popen(words, stdin=stdin or null, stdout=stdout, stderr=said)
        memory = Memory(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            text = " ".join(said.read(300).decode(errors="replace").split())
            raise Failed(f"{' '.join(words)} ended with {process.returncode}: {text}")
        seconds = time.monotonic() - started
        answer.seek(0)
        return Run(seconds, usage.ru_utime + usage.ru_stime, *memory.peaks(), answer.read().decode())


def same(one: Path, other: Path) -> bool:
    with one.open("rb") as a, other.open("rb") as b:
        while True:
            left, right = a.read(1 << 20), b.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """A server of a directory that counts what it sends."""

    def __init__(self, root: Path):
        self.root = root
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = root.parent / "nginx.log"

    def __enter__(self):
        self.root.mkdir()
        config = self.root.parent / "nginx.conf"
        config.write_text(CONFIG.format(root=self.root, port=self.port))
        self.process = subprocess.Popen(
            ["nginx", "-c", config, "-p", self.root.parent], stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise SystemExit("nginx does not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def forget(self):
        os.truncate(self.log, 0)

    def sent(self) -> tuple:
        """Bytes and requests since the last call of forget."""
        # nginx writes a line when a connection's answer is out, which may be just after it was read.
        time.sleep(0.2)
        lines = self.log.read_text().replace("\0", "").split()
        return sum(map(int, lines)), len(lines)


class Relay:
    """A link with a round trip of 50 ms that lets 20 Mbit/s through, shared by all connections."""

    DELAY = 0.025
    RATE = 20e6 / 8

    def __init__(self, port: int):
        self.target = port
        self.free_at = 0.0
        self.lock = threading.Lock()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, True), daemon=True).start()

    def carry(self, source, sink, is_limited):
        """Reads at once, and writes each piece when the link would have delivered it."""
        queue, ready, ended = [], threading.Condition(), []

        def deliver():
            while True:
                with ready:
                    while not queue and not ended:
                        ready.wait()
                    if not queue:
                        break
                    due, piece = queue.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    sink.sendall(piece)
                except OSError:
                    break
            try:
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                piece = source.recv(16384)
            except OSError:
                piece = b""
            if not piece:
                break
            due = time.monotonic()
            if is_limited:
                with self.lock:
                    self.free_at = max(self.free_at, due) + len(piece) / self.RATE
                    due = self.free_at
                # A real sender would be slowed down as well.
                time.sleep(max(0.0, due - time.monotonic() - 0.2))
            with ready:
                queue.append((due + self.DELAY, piece))
                ready.notify()
        with ready:
            ended.append(True)
            ready.notify()
