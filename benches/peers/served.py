"""Programs whose published files any server can serve: one nginx for all, which counts what it sends."""

import shutil
import statistics
import sys
from pathlib import Path

from measure import Failed, Nginx, Relay, measured, same
from peers import Peer


class Bench:
    """A scratch directory with a server, where versions of one set are published by many peers."""

    def __init__(self, nginx: Nginx, scratch: Path):
        self.nginx = nginx
        self.work = scratch / "work"

    def site(self, peer: Peer) -> Path:
        return self.nginx.root / peer.name.replace(" ", "-").replace(",", "")

    def publish(self, peer: Peer, versions: list[Path]) -> dict:
        """Publishes all versions in order; what that takes for one of them."""
        site = self.site(peer)
        shutil.rmtree(site, ignore_errors=True)
        site.mkdir(parents=True)
        runs = [[measured(command) for command in peer.publish(version, site)] for version in versions]
        return {
            "publish_cpu": sum(run.cpu for one in runs for run in one) / len(runs),
            "publish_peak": max(run.peak for one in runs for run in one),
            "site": sum(path.stat().st_size for path in site.rglob("*") if path.is_file()),
        }

    def update(self, peer: Peer, old: Path, new: Path, url: str | None = None) -> dict:
        """Updates a device once and compares what it then has."""
        site = self.site(peer)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for command in peer.prepare(old, self.work):
            measured(command)
        target = self.work / "target"
        self.nginx.forget()
        run = measured(peer.update(old, new, f"{url or self.nginx.url}/{site.name}", site, self.work, target))
        sent, requests = self.nginx.sent()
        if not same(peer.result(self.work, target), new):
            raise Failed(f"{peer.name} did not make {new}")
        return {"bytes": sent, "requests": requests, "cpu": run.cpu, "seconds": run.seconds, "peak": run.peak}

    def clear(self, peer: Peer):
        shutil.rmtree(self.site(peer), ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)


def count(bench: Bench, peer: Peer, versions: list[Path], pairs: list) -> dict:
    """Bytes and requests of some updates; what the peer fails at is left out."""
    rows = {}
    published = bench.publish(peer, versions)
    for old, new in pairs:
        try:
            try:
                row = bench.update(peer, old, new)
            except Failed:
                # An archive that came out broken would be published again by anyone.
                published = bench.publish(peer, versions)
                row = bench.update(peer, old, new)
            rows[old, new] = {**published, **row}
        except Failed as failed:
            print(failed, file=sys.stderr)
    bench.clear(peer)
    return rows


def time(bench: Bench, peers: list[Peer], versions: list[Path], pairs: list, runs: int) -> dict:
    """CPU, time and memory as medians of runs of all peers in turn, so that all of them meet the same machine."""
    published, found = {}, {}
    for peer in peers:
        published[peer] = bench.publish(peer, versions)
    for old, new in pairs:
        for _ in range(runs):
            for peer in peers:
                try:
                    update = bench.update(peer, old, new)
                except Failed as failed:
                    print(failed, file=sys.stderr)
                    # See above; what it publishes now is for the next run.
                    published[peer] = bench.publish(peer, versions)
                    continue
                found.setdefault((peer, old, new), []).append(update)
    rows = {}
    for (peer, old, new), updates in found.items():
        row = {key: statistics.median(update[key] for update in updates) for key in ("cpu", "seconds", "peak")}
        row["cpu_spread"] = max(update["cpu"] for update in updates) - min(update["cpu"] for update in updates)
        row["runs"] = len(updates)
        row["publish_cpu"] = published[peer]["publish_cpu"]
        row["publish_peak"] = published[peer]["publish_peak"]
        if peer.is_linked:
            with Relay(bench.nginx.port) as relay:
                row["link_seconds"] = bench.update(peer, old, new, relay.url)["seconds"]
        rows[peer, old, new] = row
    for peer in peers:
        bench.clear(peer)
    return rows
