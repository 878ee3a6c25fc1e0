"""Answers that are right and in time, by the server's own choice and by each submodel alone, under replayed arrivals.

    python benchmarks/serving.py --quick [--bundle DIR]
    python benchmarks/serving.py [--bundle DIR] [--seconds 40] [--loads 0.3,0.7,1.5] [--picks ID,...] [--traces bursts]

Without --bundle it is one of full-size models with random weights and assigned accuracies (serving_bundle.py), which is
made in the cache folder (190 MB). A server of this package, one thread, is started on loopback for each run, and sent
requests at the times of a trace, whether or not it has answered those before (http_load.py). Traces have the same mean:
`steady` arrivals by chance, `bursts` of 3.4 times the mean for a fifth of the time and 0.4 times else, and `day`, a
curve of a day squeezed into a run, from 0.1 to 1.9 times. Load 1 is as many requests as the full model can answer. A
deadline is 2.5 times what it takes, or --deadline-ms. An answer counts with the accuracy of the submodel that gave it,
if it is there in time by the client's clock. Every way sees the same arrivals: the server's choice, every request with
the name of one submodel, and a server for each submodel by itself, the most accurate asked first, the next one where it
refuses.

The servers of a run share one core, and the client has the others (Linux), so that many servers have no more than one.

Two clocks tell whether an accepted request was in time: the client's, from its turn to the last byte of the reply, and
the server's, from when it sees the request until the reply is sent (/metrics). The client's own lateness lies between
them; `client_late_ms` is what one in a hundred of its timers exceeds. Where that is more than a twentieth of the
deadline, the machine is too busy, or the load too high for it, to tell 99 % from 98 %.

--quick takes about seven minutes on a machine at rest: bursts at loads 0.7, 1.5 and 5, the server's choice against the
full model, the fastest and the one that should be best alone, by a simulation. All traces, loads and submodels take
about 90 minutes. `--loads 5 --picks ""` overloads the server alone. The record is written in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import io
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
from PIL import Image

from bstsearch.answering.bundle_folder import BundleFolder, read_bundle
from bstsearch.environment import cache_folder
from http_load import BROKEN, UNANSWERED, Client, Reply, first_that_answers, replay
from serving_bundle import full_size_bundle, one_alone
from timing import busy, report, tell

MOST_REQUESTS, MOST_SECONDS = 20_000, 60.0  # of one run
DEADLINE = 2.5  # times what the full model takes
PERIOD_S, SHARE_ON, ON, OFF = 10.0, 0.2, 3.4, 0.4  # bursts
CORES = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
OWN, SEPARATE = "the server's choice", "separate servers"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--loads", default="0.3,0.7,1.5")
    parser.add_argument("--traces", default="steady,bursts,day")
    parser.add_argument("--deadline-ms", type=float)
    parser.add_argument("--picks", help="submodels that answer alone; by default all")
    parser.add_argument("--quick", action="store_true", help="bursts at three loads against three picks each")
    options = parser.parse_args()
    if options.quick:
        options.traces, options.loads, options.seconds = "bursts", "0.7,1.5,5", 20
    seconds = min(MOST_SECONDS, options.seconds)
    bundle = read_bundle(options.bundle or full_size_bundle(cache_folder() / "bstsearch-benchmarks" / "full-size"))
    with serving([bundle.path]) as ((_, port),):
        alone_s = {name: asyncio.run(time_one(port, name)) for name in bundle.by_accuracy}
    full_s = alone_s[bundle.most_accurate.id]
    deadline_s = DEADLINE * full_s if options.deadline_ms is None else options.deadline_ms / 1000
    tell(f"over HTTP each submodel answers in {[round(1000 * one, 2) for one in alone_s.values()]} ms")
    tell(f"the deadline is {1000 * deadline_s:.3g} ms; {busy()}")
    rows = []
    for trace in options.traces.split(","):
        for load in map(float, options.loads.split(",")):
            times = arrivals(trace, load / full_s, seconds)
            picks = list(bundle.by_accuracy) if options.picks is None else list(filter(None, options.picks.split(",")))
            if unknown := set(picks) - set(bundle.by_accuracy):
                parser.error(f"the bundle holds no {min(unknown)}")
            if options.quick:
                picks = few_picks(bundle, alone_s, times, deadline_s)
            rows.append({"trace": trace, "load": load, "requests": len(times)})
            for way in (OWN, *picks, *([SEPARATE] if picks else [])):
                rows[-1][way] = run(bundle, times, deadline_s, way)
                tell(f"{trace}, load {load:g}, {way}: {rows[-1][way]}")
            if picks:
                rows[-1]["against"] = against(rows[-1], picks)
                tell(f"{trace}, load {load:g}: {rows[-1]['against']}")
    figures = {"bundle": bundle.path.name, "seconds": seconds, "rows": rows}
    figures |= {"full_ms": round(1000 * full_s, 3), "deadline_ms": round(1000 * deadline_s, 3)}
    report("serving", {**figures, "over_all": over_all(rows, (OWN, SEPARATE, *bundle.by_accuracy))})


def run(bundle: BundleFolder, times: Sequence[float], deadline_s: float, way: str) -> dict[str, float]:
    """How a server, or several, did, and how late the client itself was, by which figures of that size may be off."""
    named = None if way in (OWN, SEPARATE) else way
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        names = bundle.by_accuracy if way == SEPARATE else ()
        paths = [one_alone(bundle, name, Path(folder) / name) for name in names] or [bundle.path]
        processes, ports = zip(*stack.enter_context(serving(paths)), strict=True)
        for port in ports:
            asyncio.run(time_one(port, named))
        before = outcomes(ports)
        ask = functools.partial(
            first_that_answers, request_of=lambda left_s: request_of(left_s, named), deadline_s=deadline_s
        )
        replies, lag = asyncio.run(replay(ports, ask, times, deadline_s))
        after = outcomes(ports)
        private = sum(psutil.Process(process).memory_full_info().uss for process in processes)
    in_time, late, given_up = (after[name] - before[name] for name in ("in time", "late", "given up"))
    if way == SEPARATE:
        given_up = 0  # such a request went on to the next server
    return {
        **told(bundle, replies, deadline_s, given_up),
        "accepted_in_time_by_server": percent(in_time, in_time + late + given_up),
        "client_late_ms": round(1000 * lag.high, 2),
        "private_mb": round(private / 1e6),
    }


def few_picks(
    bundle: BundleFolder, alone_s: Mapping[str, float], times: Sequence[float], deadline_s: float
) -> list[str]:
    """The full model, the fastest one, and the one that should be the best alone."""
    values = {one.id: one.accuracy.value for one in bundle.bundle.submodels}
    best = max(alone_s, key=lambda name: values[name] * answered(times, alone_s[name], deadline_s))
    return list(dict.fromkeys((bundle.most_accurate.id, min(alone_s, key=alone_s.__getitem__), best)))


def answered(times: Sequence[float], seconds: float, deadline_s: float) -> int:
    """How many requests are answered in time, one after the other, if those that cannot be are refused."""
    free, count = 0.0, 0
    for at in times:
        if max(free, at) + seconds <= at + deadline_s:
            free, count = max(free, at) + seconds, count + 1
    return count


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
def serving(paths: Sequence[Path]) -> Iterator[list[tuple[int, int]]]:
    """The process and the port of a server of each bundle, while the block runs; all of them share one core."""
    command = [sys.executable, "-m", "bstsearch", "serve", "--port", "0", "--threads", "1"]
    with contextlib.ExitStack() as stack:
        with on_one_core():
            started = [
                stack.enter_context(
                    subprocess.Popen([*command, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                )
                for path in paths
            ]
        for process in started:
            stack.callback(process.terminate)
        yield [(process.pid, port_of(process)) for process in started]


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """What is started in the block stays on the first core; where there are more, this process is on the others."""
    if len(CORES) < 2:
        yield
        return
    os.sched_setaffinity(0, CORES[:1])
    yield
    os.sched_setaffinity(0, CORES[1:])


def port_of(process: subprocess.Popen[str]) -> int:
    """Where a server listens, by the line that it prints."""
    assert process.stdout is not None
    found = re.search(r":(\d+);", process.stdout.readline())
    assert found is not None
    return int(found.group(1))


@functools.cache
def picture() -> bytes:
    """The file of a picture that says nothing."""
    file = io.BytesIO()
    Image.effect_noise((80, 80), 60).convert("RGB").save(file, "PNG")
    return file.getvalue()


def request_of(deadline_s: float | None, submodel: str | None) -> bytes:
    """A request with a picture and a question, as it goes over the wire."""
    fields = {"question": "how many red circles are there?"}
    fields |= {} if submodel is None else {"submodel": submodel}
    fields |= {} if deadline_s is None else {"deadline_ms": f"{1000 * deadline_s:.3f}"}
    parts = [f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()]
    head = '--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = "".join([*parts, head]).encode() + picture() + b"\r\n--x--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x"
    return f"POST /ask HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def time_one(port: int, submodel: str | None) -> float:
    """The median seconds of a request to that submodel (None: any), sent one after the other."""
    async with Client(port) as client:
        replies = [await client.send(request_of(None, submodel)) for _ in range(12)]
    return statistics.median(reply.seconds for reply in replies[2:])


def outcomes(ports: Sequence[int]) -> Counter[str]:
    """How many requests ended in time, late, refused..., by the servers' own clocks and word."""
    counts = Counter[str]()
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            found = re.findall(r'bstsearch_requests_total\{outcome="(.*)"\} (.*)', page.read().decode())
        counts.update({name: round(float(count)) for name, count in found})
    return counts


def told(bundle: BundleFolder, replies: Sequence[Reply], deadline_s: float, given_up: int) -> dict[str, float]:
    """Percent of all requests by how they ended, and of those that were accepted, in time; by the client's clock.

    Of the refused ones the server says that it had accepted so many, and has given them up.
    """
    values = {one.id: one.accuracy.value for one in bundle.bundle.submodels}
    accepted = [reply for reply in replies if reply.status == 200]
    in_time = [reply for reply in accepted if reply.seconds <= deadline_s]
    right = math.fsum(values[json.loads(reply.content)["submodel"]] for reply in in_time)
    counts = {
        "right_in_time": right,
        "in_time": len(in_time),
        "late": len(accepted) - len(in_time),
        "refused": sum(reply.status == 503 for reply in replies) - given_up,
        "given_up": given_up,
        "broken": sum(reply.status == BROKEN for reply in replies),
        "unanswered": sum(reply.status == UNANSWERED for reply in replies),
    }
    shares = {name: percent(count, len(replies)) for name, count in counts.items()}
    return {**shares, "accepted_in_time": percent(len(in_time), len(accepted) + given_up)}


def percent(count: float, of: int) -> float:
    """So many of a hundred; 0 of none."""
    return round(100 * count / max(1, of), 2)


def against(row: dict, picks: Sequence[str]) -> dict[str, object]:
    """The server's choice beside the best submodel alone."""
    best = max(picks, key=lambda name: row[name]["right_in_time"])
    own = row[OWN]["right_in_time"]
    over = {
        f"points_over_{name}": round(own - row[way]["right_in_time"], 2)
        for name, way in (("it", best), ("separate", SEPARATE))
    }
    return {"own": own, "best_alone": best, **over}


def over_all(rows: Sequence[dict], ways: Sequence[str]) -> dict[str, float]:
    """The mean over all traces and loads of what is right and in time, by each way that has seen all of them."""
    return {
        way: round(statistics.mean(row[way]["right_in_time"] for row in rows), 2)
        for way in ways
        if all(way in row for row in rows)
    }


if __name__ == "__main__":
    main()
