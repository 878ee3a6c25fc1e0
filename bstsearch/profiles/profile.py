"""A device profile: what one JSON file says of a device, its latencies, and their origin and error (no torch).

profiles/README.md describes each field; `profile_file` reads and writes the file.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from bstsearch.errors import InputError, UsageError
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.profiles.latency import half_width, option_words, typical
from bstsearch.profiles.stored import NAME
from bstsearch.reading import REASON, Amount, Count, Finite, Name, Positive, Share, Whole, plain
from bstsearch.space import FLOAT32, Precision, Submodel

if TYPE_CHECKING:
    import pandas

FORMAT: Final = 2

MEASURED: Final = "measured"
ANY = "any"  # the name of the runtime where an estimate is for whichever runs the model
Obtained = Literal["measured", "calibrated", "estimated"]
Via = Annotated[str, Meta(pattern=f"^{NAME}$")]  # the name of a driver, installed here or not

Entry = TypeVar("Entry")
RUNS = ("times_ms", "cpu_ms", "switches")  # what a row keeps of each run
Filled = Annotated[tuple[Entry, ...], Meta(min_length=1)]
LONGEST = 4000  # characters; the longest text in the profiles shipped has 638
Line = Annotated[str, Meta(max_length=LONGEST)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
FractionText = Annotated[str, Meta(pattern=r"^[1-9][0-9]*(/[1-9][0-9]*)?$", max_length=40)]
Moment = Annotated[datetime, Meta(tz=True)]


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """What every record of a profile has. What is made in Python is checked when it is saved."""

    def to_json(self) -> dict[str, Any]:
        """The record as its file has it: objects, lists, text and numbers."""
        data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return data


class Cluster(Record, frozen=True, kw_only=True):
    """Equal cores of one processor. A fused multiply-add counts as two FLOP; null where their number is not known.

    `evidence` begins with "measured", "theory" or "assumed" where it is.
    """

    core: Text
    cores: Count
    clock_ghz: Positive
    fp32_flop_per_cycle: Count | None
    evidence: Text

    @property
    def peak_gflops(self) -> float | None:
        """The fp32 peak of one core, in GFLOP/s."""
        return None if self.fp32_flop_per_cycle is None else self.clock_ghz * self.fp32_flop_per_cycle

    @property
    def arithmetic(self) -> str:
        """The peak of all its cores as a sum to check."""
        clock = f"{self.cores} x {self.clock_ghz:g} GHz"
        if self.peak_gflops is None:
            return f"{clock}, peak not known"
        return f"{clock} x {self.fp32_flop_per_cycle} FLOP/cycle = {self.cores * self.peak_gflops:.4g} GFLOP/s"


class Hardware(Record, frozen=True, kw_only=True):
    """The device; null where it is not known. `cores` are the physical ones that a measuring process could use."""

    title: Text
    soc: Text
    cores: Count
    clusters: tuple[Cluster, ...]
    memory_bytes: Count | None
    memory_gb_per_s: Positive | None
    memory_evidence: Text | None
    system: Text | None


class Runtime(Record, frozen=True, kw_only=True):
    """What runs the submodels; `cores_used` says on which cores, where that is known.

    `precision` is that of estimates; a measured model says its own.
    """

    name: Text
    version: Text
    provider: Text
    threads: Count
    precision: Literal["float32"]
    cores_used: Text | None

    @property
    def words(self) -> str:
        """Its name and version; an estimate may be for any runtime."""
        return "any runtime" if self.name == ANY else f"{self.name} {self.version}"


class Units(Record, frozen=True, kw_only=True):
    """The units of the numbers in the rows; there is one choice for each."""

    latency: Literal["ms"]
    memory: Literal["bytes"]


class Source(Record, frozen=True, kw_only=True):
    """Where a fact or a published row comes from."""

    what: Text
    where: Text


class LatencyError(Record, frozen=True, kw_only=True):
    """How far predictions lay from `rows` latencies that they were not fitted on: abs(actual / predicted - 1).

    A predicted latency is shown as the range from ms / (1 + interval) to ms x (1 + interval).
    """

    median: Amount
    p90: Amount
    worst: Amount
    interval: Amount
    rank_correlation: Annotated[float, Meta(ge=-1, le=1)] | None
    rows: Count
    computed_on: Text


class Rates(Record, frozen=True, kw_only=True):
    """How latencies of a device are predicted without measuring it.

    milliseconds = 1000 x GFLOPs^exponent / gflops_per_s + megabytes / gb_per_s, where GFLOPs are 2 x MACs / 1e9 of
    everything but recurrent products, and megabytes are the recurrent weights, once for every step. The rows
    behind them are of models from `smallest_gflops` to `largest_gflops`.
    """

    gflops_per_s: Positive
    exponent: Annotated[float, Meta(gt=0, le=1)]
    gb_per_s: Positive
    smallest_gflops: Positive
    largest_gflops: Positive
    arithmetic: Text


class Schedule(Record, frozen=True, kw_only=True):
    """How the runs were spread: every round visits every submodel, in an order shuffled by `seed`."""

    rounds: Count
    seed: Whole


class BlockRow(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What one block adds: a layer of the stack `block`, or (block "base", heads and ffn null) all outside stacks.

    `tokens` is the share of the image's tokens, all of them where it is left out. `latency_ms` may be below zero: a
    share of a sum, not a time that was seen.
    """

    block: Text
    width: FractionText
    heads: FractionText | None
    ffn: FractionText | None
    latency_ms: Finite
    weight_bytes: Whole
    tokens: FractionText | None = None


class Load(Record, frozen=True, kw_only=True):
    """What else the device did while it was measured; null where it is not known.

    `other_cores` is how many cores other programs kept busy, `preempted` the share of the timed runs that had to give
    up their core to one.
    """

    other_cores: Amount | None
    preempted: Share | None


class ActivationRow(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The largest live set of activations of a submodel of that width, all layers with `share` of heads and ffn.

    `tokens` is the share of the image's tokens, all of them where it is left out.
    """

    width: FractionText
    share: FractionText
    activation_bytes: Count
    tokens: FractionText | None = None


class MemoryFit(Record, frozen=True, kw_only=True):
    """Peak memory = runtime_bytes + weight_copies x weights + the largest live set of activations.

    `median` and `worst` are abs(measured / computed - 1) over the `rows` measured peaks. Where the device tells
    none, `rows` is 0, and peak memory is a lower bound: weights and activations alone.
    """

    runtime_bytes: Whole
    weight_copies: Amount
    median: Amount
    worst: Amount
    rows: Whole


class MeasuredRow(Record, frozen=True, kw_only=True):
    """One whole submodel: its latency, the 95 % interval of that, and the runs themselves.

    `latency_ms` is the quiet latency: what the model needs when nothing disturbs it. `seen_ms` and `p90_ms` are the
    median and the 90th percentile of the runs by the clock on the wall, `times_ms`. For each run, `cpu_ms` tells how
    long its thread had a core, and `switches` how often it had to give the core up; null where the device does not
    tell. `visits` of equally many runs follow one another. Blocks were fitted to the rows of role "fit"; those of role
    "check" tell the error. Before 0.2.0 `latency_ms` was what `seen_ms` is now, which is null there.
    """

    id: str
    role: Literal["fit", "check"]
    latency_ms: Positive
    low_ms: Positive
    high_ms: Positive
    seen_ms: Positive | None = None
    p90_ms: Positive
    spread: Amount
    outliers: Whole
    visits: Count | None = None
    times_ms: Filled[Positive]
    cpu_ms: tuple[Amount, ...] | None = None
    switches: tuple[Whole, ...] | None = None
    weight_bytes: Count
    activation_bytes: Count | None
    peak_memory_bytes: Count | None

    @property
    def uncertainty(self) -> float:
        """Half-width of the interval, as a share of the latency."""
        return half_width(self.latency_ms, self.low_ms, self.high_ms)

    def __post_init__(self) -> None:
        """ValueError where `id` names no submodel, or the latency lies outside its interval."""
        try:
            Submodel.from_id(self.id)
        except UsageError as error:
            raise ValueError(f"id: {error}") from error
        if not self.low_ms <= self.latency_ms <= self.high_ms:
            raise ValueError(f"latency_ms {self.latency_ms} must lie between low_ms and high_ms")


class MeasuredModel(Record, frozen=True, kw_only=True):
    """One architecture in one precision at one phase: whole submodels, and the blocks that others are composed of.

    `stacks` gives each stack's layers, in the order in which a submodel's id lists them. `grade` tells how well
    latencies are known: nine of ten intervals reach no farther than 5 % ("good"), 15 % ("fair"), or they do ("poor").
    `noise` is the median of abs(every other round / the rest - 1) over the submodels: the same thing, measured twice.
    """

    family: Text
    architecture: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
    precision: Precision = FLOAT32
    phase: Phase = WHOLE
    date: Moment
    batch: Count
    inputs: dict[Name, Filled[Count]]
    stacks: dict[Name, Count]
    schedule: Schedule
    load: Load | None = None
    grade: Literal["good", "fair", "poor"] | None = None
    noise: Amount | None
    error: LatencyError | None
    memory: MemoryFit | None
    warnings: tuple[Line, ...]
    blocks: tuple[BlockRow, ...]
    activations: tuple[ActivationRow, ...]
    submodels: Filled[MeasuredRow]

    @property
    def key(self) -> tuple[str, Precision, Phase]:
        """What a profile holds once only."""
        return self.architecture, self.precision, self.phase

    @property
    def uncertainty(self) -> float:
        """The uncertainty that nine of ten rows do not exceed, which the grade says in a word."""
        return typical(row.uncertainty for row in self.submodels)

    def __post_init__(self) -> None:
        """ValueError where a submodel or a block occurs twice."""
        _check_unique("submodels", [row.id for row in self.submodels])
        blocks = [
            f"{row.block} width {row.width} heads {row.heads} ffn {row.ffn}"
            + (f" tokens {row.tokens}" if row.tokens else "")
            for row in self.blocks
        ]
        _check_unique("blocks", blocks)


class DeviceProfile(Record, frozen=True, kw_only=True):
    """Everything that one device profile file holds.

    A measured profile has `models` and says by which way it was measured (`via`); a
    calibrated or estimated one has `rates`, `error` and `sources` instead.
    """

    format: Literal[2]
    device: Text
    hardware: Hardware
    runtime: Runtime
    obtained: Obtained
    via: Via | None
    date: Moment
    bstsearch: Text
    units: Units
    sources: tuple[Source, ...]
    notes: tuple[Line, ...]
    error: LatencyError | None
    rates: Rates | None
    models: tuple[MeasuredModel, ...]

    def __post_init__(self) -> None:
        """ValueError where it is not what it says, or an architecture occurs twice."""
        has_rates = self.rates is not None and self.error is not None and len(self.sources) > 0
        if self.obtained == MEASURED and (not self.models or self.rates or self.error):
            raise ValueError("a measured profile has models, and no rates or error beside theirs")
        if self.obtained != MEASURED and (self.models or not has_rates):
            raise ValueError(f"a profile that is {self.obtained} has rates, error and sources, and no models")
        _check_unique("models", [_in(*model.key) for model in self.models])

    def to_frame(self) -> pandas.DataFrame:
        """The measured rows of all models, a submodel in each; none where nothing was measured.

        Latencies are in milliseconds, sizes in bytes; the single runs are left out.
        """
        import pandas

        shown = [name for name in MeasuredRow.__struct_fields__ if name not in RUNS]
        rows = [
            {"family": model.family, "architecture": model.architecture, **{name: getattr(row, name) for name in shown}}
            for model in self.models
            for row in model.submodels
        ]
        return pandas.DataFrame(rows, columns=["family", "architecture", *shown])

    def _repr_html_(self) -> str:
        """What a notebook shows: a line about the device, and its rows."""
        line = f"{self.device}: {self.obtained} {self.date:%Y-%m-%d}, {self.hardware.title}, {self.runtime.words}"
        rows = self.to_frame().drop(columns=["family", "architecture"]).to_html(index=False, notebook=True)
        return f"<p>{html.escape(plain(line))}</p>" + (rows if self.models else "")

    def get_model(
        self, architecture: str, family: str, precision: Precision = FLOAT32, phase: Phase = WHOLE
    ) -> MeasuredModel:
        """What was measured of that architecture in that precision at that phase; InputError where it was not."""
        for model in self.models:
            if (model.key, model.family) == ((architecture, precision, phase), family):
                return model
        names = (_in(f"{model.family} {model.architecture}", *model.key[1:]) for model in self.models)
        words = option_words(precision, phase)
        raise InputError(
            f"device profile {self.device!r} holds no measurement of this model "
            f"({_in(f'{family} {architecture}', precision, phase)}), only of: {', '.join(names)[:REASON] or 'none'}; "
            f"measure it with 'bstsearch profile --device {self.device}{words} --measure' and the same --supernet"
        )


def _in(name: str, precision: Precision, phase: Phase) -> str:
    found = name if precision == FLOAT32 else f"{name} in {precision}"
    return found if phase == WHOLE else f"{found}, {phase}"


def _check_unique(what: str, names: Sequence[str]) -> None:
    for name, count in Counter(names).most_common(1):
        if count > 1:
            raise ValueError(f"{what}: {name!r} occurs {count} times, expected once")
