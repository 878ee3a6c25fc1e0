"""Answers that are right and in time, by the server's own choice and by each submodel alone, under replayed arrivals.

    python benchmarks/serving.py [--bundle DIR] [--seconds 40] [--loads 0.3,0.7,1.5] [--picks ID,...] [--traces bursts]

Without --bundle it is one of full-size models with random weights and assigned accuracies (serving_bundle.py), which is
made in the cache folder (190 MB). A server of this package, one thread, is started on loopback for each run, and sent
requests at the times of a trace, whether or not it has answered those before (open loop). Traces have the same mean:
`steady` arrivals by chance, `bursts` of 3.4 times the mean for a fifth of the time and 0.4 times else, and `day`, a
curve of a day squeezed into a run, from 0.1 to 1.9 times. Load 1 is as many requests as the full model can answer. A
deadline is 2.5 times what it takes. An answer counts with the accuracy of the submodel that gave it, if it is there in
time by the client's clock. Every way sees the same arrivals: the server's choice, and every request with the name of
one submodel. Runs end by themselves, after --seconds and a second more.

All traces, loads and submodels take about 80 minutes on a machine at rest; --traces, --loads and --picks shorten it.
`--loads 5 --picks ""` overloads the server alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import io
import json
import math
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from PIL import Image

from bstsearch.answering.bundle_folder import BundleFolder, read_bundle
from bstsearch.environment import cache_folder
from serving_bundle import full_size_bundle
from timing import report, tell

MOST_REQUESTS, MOST_SECONDS, MOST_CONNECTIONS = 20_000, 60.0, 256  # of one run
DEADLINE = 2.5  # times what the full model takes
PERIOD_S, SHARE_ON, ON, OFF = 10.0, 0.2, 3.4, 0.4  # bursts
KEPT_S = 3.0  # servers close connections that are idle for longer; uvicorn after 5
OWN = "the server's choice"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back: its HTTP status, the submodel that answered, seconds from arrival to the end of the reply."""

    status: int
    submodel: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--loads", default="0.3,0.7,1.5")
    parser.add_argument("--traces", default="steady,bursts,day")
    parser.add_argument("--picks", help="submodels that answer alone; by default all")
    options = parser.parse_args()
    seconds = min(MOST_SECONDS, options.seconds)
    bundle = read_bundle(options.bundle or full_size_bundle(cache_folder() / "bstsearch-benchmarks" / "full-size"))
    picks = list(bundle.by_accuracy) if options.picks is None else [name for name in options.picks.split(",") if name]
    with serving(bundle) as (_, port):
        full_s = asyncio.run(time_one(port, bundle.most_accurate.id))
    tell(f"the full model answers in {1000 * full_s:.3g} ms over HTTP; deadline {1000 * DEADLINE * full_s:.3g} ms")
    rows = []
    for trace in options.traces.split(","):
        for load in map(float, options.loads.split(",")):
            times = arrivals(trace, load / full_s, seconds)
            rows.append({"trace": trace, "load": load, "requests": len(times)})
            for way in (OWN, *picks):
                with serving(bundle) as (process, port):
                    replies = asyncio.run(replay(port, times, DEADLINE * full_s, None if way == OWN else way))
                    memory = psutil.Process(process).memory_info().rss
                rows[-1][way] = {**told(bundle, replies, DEADLINE * full_s), "resident_mb": round(memory / 1e6)}
                tell(f"{trace}, load {load:g}, {way}: {rows[-1][way]}")
            if picks:
                tell(f"{trace}, load {load:g}: {against(rows[-1], picks)}")
    figures = {"bundle": bundle.path.name, "full_ms": round(1000 * full_s, 3), "seconds": seconds, "rows": rows}
    report("serving", {**figures, "over_all": over_all(rows, picks)})


def arrivals(trace: str, rate: float, seconds: float) -> list[float]:
    """When requests come, in seconds from the start: by chance (seeded), at a rate that follows the trace."""
    draw, now, times = random.Random(trace), 0.0, list[float]()
    most = {"steady": 1.0, "bursts": ON, "day": 1.9}[trace]
    while len(times) < MOST_REQUESTS:
        now += draw.expovariate(rate * most)
        if now >= seconds:
            return times
        if draw.random() * most < height(trace, now, seconds):
            times.append(now)
    return times


def height(trace: str, now: float, seconds: float) -> float:
    """The rate at that time over the mean."""
    if trace == "steady":
        return 1.0
    if trace == "bursts":
        return ON if now % PERIOD_S >= (1 - SHARE_ON) * PERIOD_S else OFF
    return 1 - 0.9 * math.cos(2 * math.pi * now / seconds)


@contextlib.contextmanager
def serving(bundle: BundleFolder) -> Iterator[tuple[int, int]]:
    """The process and the port of a server of the bundle, while the block runs."""
    command = [sys.executable, "-m", "bstsearch", "serve", str(bundle.path), "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+);", process.stdout.readline())
            assert found is not None
            yield process.pid, int(found.group(1))
        finally:
            process.terminate()


def request_of(deadline_s: float | None, submodel: str | None) -> bytes:
    """A request with a picture and a question, as it goes over the wire."""
    picture = io.BytesIO()
    Image.effect_noise((80, 80), 60).convert("RGB").save(picture, "PNG")
    fields = {"question": "how many red circles are there?"}
    fields |= {} if submodel is None else {"submodel": submodel}
    fields |= {} if deadline_s is None else {"deadline_ms": f"{1000 * deadline_s:.3f}"}
    parts = [f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()]
    head = '--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = "".join([*parts, head]).encode() + picture.getvalue() + b"\r\n--x--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x"
    return f"POST /ask HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Client:
    """Connections to a server, each used again once its reply is there; MOST_CONNECTIONS at most."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def send(self, content: bytes) -> Reply:
        """The reply to a request; status 0 where the connection broke."""
        start = time.perf_counter()
        async with self._free:
            try:
                reader, writer = await self._connection()
                writer.write(content)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = re.search(r"content-length: (\d+)", head)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
            except (OSError, asyncio.IncompleteReadError):
                return Reply(status=0, submodel="", seconds=time.perf_counter() - start)
        now = time.perf_counter()
        if "connection: close" in head:
            writer.close()
        else:
            self._idle.append((now, reader, writer))
        status = int(head.split()[1])
        submodel = json.loads(body)["submodel"] if status == 200 else ""
        return Reply(status=status, submodel=submodel, seconds=now - start)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one used last, unless the server is about to close it; else a new one."""
        if self._idle:
            last, reader, writer = self._idle.pop()
            if time.perf_counter() - last < KEPT_S:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        """Closes all of them."""
        for _, _, writer in self._idle:
            writer.close()


async def time_one(port: int, submodel: str) -> float:
    """The median seconds of a request to that submodel, sent one after the other."""
    client, content = Client(port), request_of(None, submodel)
    replies = [await client.send(content) for _ in range(12)]
    client.close()
    return statistics.median(reply.seconds for reply in replies[2:])


async def replay(port: int, times: Sequence[float], deadline_s: float, submodel: str | None) -> list[Reply]:
    """The reply to each of the requests, sent at their times; those that are not there in the end have status 0."""
    client, content = Client(port), request_of(deadline_s, submodel)
    for _ in range(3):
        await client.send(request_of(None, submodel))
    start, sent = time.perf_counter(), list[asyncio.Task[Reply]]()
    for at in times:
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        sent.append(asyncio.create_task(client.send(content)))
    done, late = await asyncio.wait(sent, timeout=deadline_s + 1)
    for task in late:
        task.cancel()
    client.close()
    return [task.result() for task in done] + [Reply(status=0, submodel="", seconds=math.inf)] * len(late)


def told(bundle: BundleFolder, replies: Sequence[Reply], deadline_s: float) -> dict[str, float]:
    """Percent of all requests: right and in time, in time, refused; and of those that were accepted, in time."""
    values = {one.id: one.accuracy.value for one in bundle.bundle.submodels}
    accepted = [reply for reply in replies if reply.status == 200]
    in_time = [reply for reply in accepted if reply.seconds <= deadline_s]
    right = math.fsum(values[reply.submodel] for reply in in_time)
    return {
        "right_in_time": round(100 * right / len(replies), 2),
        "in_time": round(100 * len(in_time) / len(replies), 2),
        "refused": round(100 * sum(reply.status == 503 for reply in replies) / len(replies), 2),
        "accepted_in_time": round(100 * len(in_time) / max(1, len(accepted)), 2),
    }


def against(row: dict, picks: Sequence[str]) -> dict[str, object]:
    """The server's choice beside the best submodel alone."""
    best = max(picks, key=lambda name: row[name]["right_in_time"])
    own = row[OWN]["right_in_time"]
    return {"own": own, "best_alone": best, "points_over_it": round(own - row[best]["right_in_time"], 2)}


def over_all(rows: Sequence[dict], picks: Sequence[str]) -> dict[str, float]:
    """The mean over all traces and loads of what is right and in time, by each way."""
    return {way: round(statistics.mean(row[way]["right_in_time"] for row in rows), 2) for way in (OWN, *picks)}


if __name__ == "__main__":
    main()
