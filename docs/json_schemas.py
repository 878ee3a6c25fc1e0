"""Writes docs/schemas, a JSON Schema (draft 2020-12) of what each verb prints with --json: `make docs`.

A model here is one object, and its first line the description of it. Each field says its unit and what it is; a
field without a default is always there. The tests hold what the verbs print against these.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bstsearch.profiles.latency import Source
from bstsearch.searching.costs import by_name, objective_keys
from bstsearch.searching.pareto import PARTIAL, TEST

FOLDER = Path(__file__).parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

Whole = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Fraction = Annotated[str, Meta(pattern=r"^[1-9][0-9]*(/[1-9][0-9]*)?$", description='An exact fraction, as "1/2".')]
Id = Annotated[str, Meta(description='A submodel\'s id, as "w1of2-d1of3".')]
Moment = Annotated[str, Meta(description="Date and time, ISO 8601.")]
Digest = Annotated[str, Meta(description="The beginning of a SHA-256, in hex.")]
Setting = bool | int | float | str | None | list[bool | int | float | str]
Profile = Annotated[Any, Meta(extra_json_schema={"$ref": "../device-profile.schema.json"})]
KnownRuntime = Annotated[
    Any,
    Meta(extra_json_schema={"anyOf": [{"$ref": "../device-profile.schema.json#/$defs/Runtime"}, {"type": "null"}]}),
]


class _Object(Struct, forbid_unknown_fields=True):
    """What each of them is: closed."""


# space


class OnDevice(_Object, kw_only=True):
    """One submodel's latency on a device, at batch 1."""

    ms: Amount
    source: Source
    low_ms: Amount
    high_ms: Amount
    fits: Annotated[bool | None, Meta(description="Whether it keeps to the budget; null without one.")]


class Counted(_Object, kw_only=True):
    """What one submodel costs on any device, at batch 1 in float32."""

    id: Id
    is_in_space: Annotated[bool, Meta(description="Whether it is trained; false only with --all.")]
    parameters: Whole
    parameters_ratio: Annotated[Share, Meta(description="Of the full model's.")]
    macs: Annotated[Whole, Meta(description="Multiply-adds.")]
    macs_ratio: Annotated[Share, Meta(description="Of the full model's.")]
    gflops: Annotated[Amount, Meta(description="Two for each multiply-add, in 1e9.")]
    size_bytes: Whole
    latencies: Annotated[dict[str, OnDevice], Meta(description="By the device's name; empty without --device.")]


class SpaceDevice(_Object, kw_only=True):
    """A device that latencies were asked of."""

    name: str
    obtained: Literal["measured", "calibrated", "estimated"]
    budget_ms: Annotated[Amount | None, Meta(description="Null without --budget-ms.")]
    warnings: list[str]


class Space(_Object, kw_only=True):
    """What `bstsearch space --json` prints."""

    model: Annotated[str, Meta(description="The preset's name, or the supernet folder's.")]
    family: str
    config: Annotated[dict[str, Setting], Meta(description="The full model's sizes, by name.")]
    fixed_macs: Annotated[Whole, Meta(description="Multiply-adds of the part that is never slimmed, in each submodel.")]
    budget_at: Annotated[
        Literal["high", "middle"], Meta(description="Which end of a range is held against the budget.")
    ]
    size: Annotated[Whole, Meta(description="How many submodels the space has.")]
    corners: Annotated[
        dict[Literal["smallest", "middle", "largest"], Id], Meta(description="The ends and the middle of the space.")
    ]
    devices: list[SpaceDevice]
    submodels: Annotated[
        list[Counted],
        Meta(description="All; of an elastic space the uniform ones, then the corners and some drawn at random."),
    ]


# import, train


class Used(_Object, kw_only=True):
    """Tensors of a checkpoint, and the numbers in them."""

    tensors: Whole
    parameters: Whole


class Unused(_Object, kw_only=True):
    """Tensors of a checkpoint that the model has no use for, and the numbers in them."""

    tensors: Whole
    numbers: Whole


class Import(_Object, kw_only=True):
    """What `bstsearch import --json` prints."""

    path: Annotated[str, Meta(description="The supernet folder.")]
    family: str
    data: Annotated[str, Meta(description='The data set that it answers, or "none".')]
    assumed: Annotated[dict[str, str], Meta(description="What shapes cannot tell and was not given, by whose word.")]
    used: Used
    not_used: Annotated[dict[str, Unused], Meta(description="By the reason.")]
    submodels: list[Id]


class Parts(_Object, kw_only=True):
    """An axis that holds several parts side by side."""

    parameter: Annotated[str, Meta(description="* stands for the numbers of layers.")]
    axis: Whole
    parts: Annotated[list[int], Meta(description="Their proportion.")]


class Group(_Object, kw_only=True):
    """Settings of a configuration that shrink together."""

    sizes: Annotated[dict[str, int], Meta(description="Setting -> its value in the full model.")]
    steps: Annotated[dict[str, int], Meta(description="Setting -> its smallest step.")]
    error: Annotated[Amount, Meta(description="What the zero-padding oracle says, as a share of the largest output.")]
    axes: Annotated[int, Meta(ge=0, description="How many axes of weights follow.")]
    parts: list[Parts]


class Layers(_Object, kw_only=True):
    """A list of layers."""

    prefix: str
    count: Annotated[str, Meta(description="The setting with their number.")]
    layers: Whole
    keep_order: Annotated[list[int], Meta(description="The layer kept longest first; empty where all are kept.")]
    follows: Annotated[list[str], Meta(description="Settings that are lists and follow the layers.")]
    error: Amount
    is_elastic: bool


class CornerCost(_Object, kw_only=True):
    """What a submodel costs."""

    id: Id
    parameters: Whole
    macs: Whole


class Inspect(_Object, kw_only=True):
    """What `bstsearch inspect --json` prints, and inspection.json of an imported supernet holds."""

    class_: str = msgspec.field(name="class")
    transformers: Annotated[str, Meta(description="The version.")]
    inputs: list[str]
    error: Annotated[Amount, Meta(description="Of all groups together.")]
    groups: list[Group]
    stacks: list[Layers]
    fixed: Annotated[dict[str, str], Meta(description="Setting -> why it stays as it is.")]
    unproved: Annotated[list[str], Meta(description="Weights on which no output depends.")]
    not_reached: Annotated[list[str], Meta(description="Settings that the time did not reach.")]
    submodels: Annotated[
        list[CornerCost], Meta(description="Smallest, middle, largest; empty where a product cannot be counted.")
    ]
    seconds: Amount


class ImportStock(Inspect, kw_only=True):
    """What `bstsearch import --json` prints of a Hugging Face model's folder."""

    path: Annotated[str, Meta(description="The supernet folder.")]


class ExportStock(_Object, kw_only=True):
    """What `bstsearch export --stock --json` prints."""

    path: str
    class_: str = msgspec.field(name="class")
    submodel: Id
    parameters: Whole
    of: Annotated[int, Meta(ge=0, description="Parameters of the full model.")]
    difference: Annotated[Amount, Meta(description="Of what was read back, as a share of the largest output.")]


class Metric(_Object, kw_only=True):
    """What kind of number the scores are."""

    name: str
    unit: str
    is_higher_better: bool
    worst: float | None
    best: float | None


class Tally(_Object, kw_only=True):
    """How many questions were answered right."""

    correct: Annotated[Amount, Meta(description="A sum of shares where the data set's accuracy gives shares.")]
    total: Whole


class Measured(_Object, kw_only=True):
    """A score that is no share of right answers."""

    value: float
    low: Annotated[float, Meta(description="The 95 % interval.")]
    high: float
    total: Annotated[Whole, Meta(description="How many examples were scored.")]


# msgspec tells no two objects apart that have no tag, and need not.
Score = Annotated[Any, Meta(extra_json_schema={"anyOf": [{"$ref": "#/$defs/Tally"}, {"$ref": "#/$defs/Measured"}]})]


class Trained(_Object, kw_only=True):
    """The space that was trained; config.json beside it holds it whole."""

    size: Annotated[Whole, Meta(description="How many submodels.")]
    words: Annotated[str, Meta(description="What they differ in.")]


class Order(_Object, kw_only=True):
    """How often a larger submodel is worse than one that lies within it, among some of the space."""

    submodels: Whole
    pairs: Annotated[Whole, Meta(description="Of submodels, one within the other.")]
    worse: Annotated[Whole, Meta(description="Pairs whose larger one is worse.")]
    clearly_worse: Annotated[Whole, Meta(description="Those where that is beyond 1.96 standard errors.")]
    loss: Annotated[Amount, Meta(description="By how much the larger ones are worse, in the mean over all pairs.")]
    rows: Annotated[Whole, Meta(description="Of the validation part, on which they were compared.")]


class Train(_Object, kw_only=True):
    """What `bstsearch train --json` prints, and metrics.json holds."""

    recipe: Annotated[dict[str, Setting], Meta(description="Every setting, under a dotted name.")]
    data: str
    space: Trained
    order: Annotated[
        Order | UnsetType, Meta(description="Missing where a score is no mean over rows, or none lies within another.")
    ] = UNSET
    metric: Annotated[Metric | UnsetType, Meta(description="Of the scores; only where it is not accuracy.")] = UNSET
    bstsearch: Annotated[str, Meta(description="Version.")]
    commit: str | None
    torch: Annotated[str, Meta(description="Version.")]
    machine: str
    validation: Annotated[dict[str, Score] | UnsetType, Meta(description="Missing where targets are kept back.")] = (
        UNSET
    )
    test: Annotated[dict[str, Score] | UnsetType, Meta(description="Missing where targets are kept back.")] = UNSET


# profile, devices


class Shown(_Object, kw_only=True):
    """What `bstsearch profile --json` prints."""

    path: Annotated[str, Meta(description="The profile's file.")]
    is_new: Annotated[bool, Meta(description="Whether it was measured now.")]
    profile: Profile


class DevicesShow(_Object, kw_only=True):
    """What `bstsearch devices show --json` prints."""

    path: Annotated[str, Meta(description="The profile's file.")]
    profile: Profile


class DevicesValidate(_Object, kw_only=True):
    """What `bstsearch devices validate --json` prints of a valid file; of another one it prints an error."""

    path: str
    device: str
    obtained: Literal["measured", "calibrated", "estimated"]
    date: Moment


class Stored(_Object, kw_only=True):
    """One stored profile; all but its file is null where the file is broken."""

    device: str
    path: str
    problem: Annotated[str | None, Meta(description="What is wrong with the file.")]
    title: str | None
    soc: str | None
    obtained: Literal["measured", "calibrated", "estimated"] | None
    via: Literal["local", "ssh", "browser", "adb"] | None
    date: Moment | None
    runtime: KnownRuntime
    interval: Annotated[Amount | None, Meta(description="What a latency may be off by: 0.4 is ms / 1.4 to ms x 1.4.")]


class Devices(_Object, kw_only=True):
    """What `bstsearch devices --json` prints."""

    devices: list[Stored]


# pareto


class Candidate(_Object, kw_only=True):
    """A submodel, with what one example costs; what was not scored has no accuracy.

    One that was dropped has a partial score instead, on the examples looked at; a member of a front may have one on the
    test part.
    """

    id: Id
    width: Fraction
    depth: Fraction
    parameters: Whole
    macs: Annotated[Whole, Meta(description="Multiply-adds.")]
    gflops: Annotated[Amount, Meta(description="Two for each multiply-add, in 1e9.")]
    latency_ms: Amount
    latency_low_ms: Amount
    latency_high_ms: Annotated[Amount, Meta(description="What is held against a budget.")]
    latency_source: Source
    memory_bytes: Annotated[Whole, Meta(description="Peak memory.")]
    memory_low_bytes: Whole
    memory_high_bytes: Whole
    memory_source: Source
    size_bytes: Annotated[Whole, Meta(description="Of the parameters in float32.")]
    accuracy: Annotated[
        float | None, Meta(description="The score, whatever the metric; a share where that is accuracy.")
    ]
    accuracy_low: Annotated[float | None, Meta(description="The 95 % interval.")]
    accuracy_high: float | None
    correct: Annotated[Amount | None, Meta(description="Null, too, where the metric is not accuracy.")]
    questions: Whole | None
    rights: Annotated[
        str | UnsetType, Meta(description="What each example is worth, packed: see bstsearch.searching.racing.")
    ] = UNSET
    beaten_by: Annotated[str | UnsetType, Meta(description="Who is better beyond doubt, and costs no more.")] = UNSET


_SCORE = (
    ("accuracy", float),
    ("accuracy_low", float),
    ("accuracy_high", float),
    ("correct", Amount | None),
    ("questions", Whole),
)
_OF_PHASE = (("ms", Amount), ("low_ms", Amount), ("high_ms", Amount), ("source", Source))
_COSTS = by_name()
_PHASES = [cost.phase for cost in _COSTS.values() if cost.phase]
CostedCandidate = msgspec.defstruct(
    "Candidate",
    [
        *((name, Amount) for name, cost in _COSTS.items() if not (cost.phase or name in Candidate.__struct_fields__)),
        *((f"{phase}_{name}", kind | UnsetType, UNSET) for phase in _PHASES for name, kind in _OF_PHASE),
        *((f"{part}{name}", kind | UnsetType, UNSET) for part in (PARTIAL, TEST) for name, kind in _SCORE),
    ],
    bases=(Candidate,),
    namespace={"__doc__": Candidate.__doc__},
    kw_only=True,
)


class _At(_Object, kw_only=True):
    at: Annotated[Literal["high", "middle"], Meta(description="Which end of a range keeps to them.")]


Budget = msgspec.defstruct(
    "Budget",
    [
        (name, Amount | None) if cost.phase is None else (name, Amount | UnsetType, UNSET)
        for name, cost in by_name().items()
    ],
    bases=(_At,),
    namespace={"__doc__": "Upper bounds by cost; null leaves it free. MB are 1e6 bytes."},
    kw_only=True,
)


Objective = Annotated[str, Meta(extra_json_schema={"enum": objective_keys()})]


Reference = msgspec.defstruct(
    "Reference",
    [("accuracy", float), *((name, Amount | UnsetType, UNSET) for name in by_name())],
    bases=(_Object,),
    namespace={"__doc__": "The worst corner of the box of possible trade-offs: of the objectives only."},
    kw_only=True,
)


class Hypervolume(_Object, kw_only=True):
    """How much of that box the front dominates."""

    value: Share
    reference: Reference  # type: ignore[valid-type]


class Supernet(_Object, kw_only=True):
    """The supernet whose submodels these are."""

    path: str
    digest: Digest
    architecture: Annotated[str, Meta(description="A digest of its shapes.")]
    family: str


class Submodels(_Object, kw_only=True):
    """The submodels that there are to choose from."""

    widths: list[Fraction]
    depths: list[Fraction]
    stacks: Annotated[list[Whole], Meta(description="Layers of each stack.")]
    least_depths: Annotated[list[Fraction], Meta(description="For each width the smallest depth it goes with.")]
    has_own_depths: Annotated[bool, Meta(description="Whether each stack chooses its depth.")]
    layer_heads: list[Fraction]
    layer_ffn: list[Fraction]
    tokens: Annotated[list[Fraction], Meta(description="Shares of the image's tokens.")]


class FrontRuntime(_Object, kw_only=True):
    """What runs the submodels on the device."""

    name: str
    version: str
    provider: str
    threads: Whole
    precision: Literal["float32"]
    cores_used: str | None
    words: Annotated[str, Meta(description="Name and version, to be shown.")]


class Device(_Object, kw_only=True):
    """The device profile that latencies come from."""

    name: str
    obtained: Literal["measured", "calibrated", "estimated"]
    via: Literal["local", "ssh", "browser", "adb"] | None
    latency_error: Annotated[
        Amount | None, Meta(description="What a latency that was not measured may be off by, as a share.")
    ]
    digest: Digest
    runtime: FrontRuntime


class Stack(_Object, kw_only=True):
    """A list of layers: the order in which they are kept, and the sizes of each where they are known."""

    name: Annotated[str, Meta(description="Prefix in the state dict.")]
    keep_order: list[Whole]
    heads: Annotated[list[Whole], Meta(description="Of each layer; empty where not known.")]
    ffn: Annotated[list[Whole], Meta(description="Of each layer; empty where not known.")]


class Pareto(_Object, kw_only=True):
    """What `bstsearch pareto --json` prints, and front.json holds."""

    format: Literal[1]
    created: Moment
    bstsearch: Annotated[str, Meta(description="Version.")]
    supernet: Supernet
    space: Submodels
    split: Annotated[str, Meta(description="What was scored on.")]
    device: Device
    data_folder: Annotated[
        str | UnsetType, Meta(description="Only where the data set is read from the user's disk.")
    ] = UNSET
    data_set: Annotated[str | UnsetType, Meta(description="Only where the supernet was trained for another one.")] = (
        UNSET
    )
    sampler: str
    is_exact: Annotated[bool, Meta(description="Whether every submodel within `searched` was scored.")]
    trials: Whole
    searched: Budget  # type: ignore[valid-type]
    searched_on: Annotated[
        str | None, Meta(description="The device that the search ran for; null where it was this one.")
    ]
    budget: Budget  # type: ignore[valid-type]
    min_accuracy: Annotated[float | None, Meta(description="The worst score that is good enough; null: any.")]
    objectives: Annotated[list[Objective], Meta(description="What is traded: the score, then costs.")]
    metric: Annotated[Metric | UnsetType, Meta(description="Of the score; only where it is not accuracy.")] = UNSET
    aimed_at: Annotated[list[Objective], Meta(description="The objectives for which a sampler searched.")]
    hypervolume: Hypervolume
    candidates: list[CostedCandidate]  # type: ignore[valid-type]
    front: Annotated[list[Id], Meta(description="Least of the first cost first; rows are counted from 1.")]
    not_apart: Annotated[
        list[tuple[Id, Id]], Meta(description="Neighbours on the front whose scores are not significantly apart.")
    ]
    recommended: Id
    rule: Annotated[str, Meta(description="How it was chosen.")]
    stacks: Annotated[list[Stack], Meta(description="Of the full model; empty where an older version searched.")]


class Lead(_Object, kw_only=True):
    """The front that is best from a value of the first cost on."""

    from_: Annotated[Amount, Meta(description="Of the first cost.")] = msgspec.field(name="from")
    front: Annotated[str, Meta(description="Its name.")]
    is_apart: Annotated[bool, Meta(description="Whether it is somewhere there significantly better than all others.")]


class Hypervolumes(_Object, kw_only=True):
    """How much of one box, that of all fronts, each of them dominates."""

    values: Annotated[dict[str, Share], Meta(description="By the front's name.")]
    reference: Reference  # type: ignore[valid-type]


class ParetoFronts(_Object, kw_only=True):
    """What `bstsearch pareto --json` prints for several devices or with --compare, and fronts.json holds."""

    fronts: Annotated[dict[str, Pareto], Meta(description="By names that tell them apart, such as the device's.")]
    paths: Annotated[dict[str, str], Meta(description="Of the front files, by the same names.")]
    hypervolumes: Hypervolumes
    leads: Annotated[list[Lead], Meta(description="Least of the first cost first; the fronts cross between them.")]
    on_all_fronts: Annotated[
        list[Id] | None, Meta(description="Null where the fronts are not of one supernet on several devices.")
    ]


# worker


class Worker(_Object, kw_only=True):
    """What `bstsearch worker --json` prints."""

    storage: Annotated[str, Meta(description="Where the study is, without a password.")]
    study: Annotated[str, Meta(description="Its name.")]
    scored: Annotated[Whole, Meta(description="How many submodels this worker has scored.")]


# export


class Accuracy(_Object, kw_only=True):
    """A score with its 95 % interval."""

    split: str
    correct: Annotated[Amount | None, Meta(description="Null where the score is no share of right answers.")]
    questions: Annotated[Whole, Meta(description="How many examples were scored.")]
    value: Annotated[float, Meta(description="The score, whatever the metric; a share where that is accuracy.")]
    low: float
    high: float


class Picked(_Object, kw_only=True):
    """The submodel that was taken."""

    id: Id
    width: Fraction
    depth: Fraction
    parameters: Whole
    macs: Whole
    gflops: Amount


class Tensor(_Object, kw_only=True):
    """An input or output of the ONNX files."""

    shape: Annotated[list[Whole | str], Meta(description='Sizes; "batch" is free.')]
    dtype: str


class FrontFile(_Object, kw_only=True):
    """The front that it was taken from."""

    digest: Digest
    row: Annotated[Whole | None, Meta(description="Null where it is not on the front.")]
    created: Moment


class ExportDevice(Device, kw_only=True):
    """The device profile that the search went by."""

    latency_source: Source


class File(_Object, kw_only=True):
    """A file of the folder."""

    bytes: Whole
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Timed(_Object, kw_only=True):
    """The latency of an ONNX file on the machine that exported it, beside the profile's."""

    ms: Amount
    low_ms: Amount
    high_ms: Amount
    seen_ms: Annotated[Amount, Meta(description="Median by the clock on the wall; `ms` is the quiet latency.")]
    threads: Whole
    cpu: str
    profile_ms: Amount
    ratio: Annotated[Amount, Meta(description="ms / profile_ms.")]


class Check(_Object, kw_only=True):
    """What an ONNX file was found to do."""

    max_difference: Annotated[Amount, Meta(description="Of logits, from those of torch.")]
    near_ties: Annotated[Whole, Meta(description="Questions whose two best logits lie so close that rounding decides.")]
    accuracy: Accuracy
    latency: Timed


class Export(_Object, kw_only=True):
    """What `bstsearch export --json` prints: the folder's manifest.json, and its path."""

    path: str
    format: Literal[1]
    created: Moment
    submodel: Picked
    accuracy: Accuracy
    metric: Annotated[Metric | UnsetType, Meta(description="Of the scores; only where it is not accuracy.")] = UNSET
    data: str
    inputs: dict[str, Tensor]
    output: Annotated[
        dict[Literal["logits", "output"], Tensor], Meta(description='Called "logits" where a task tells classes apart.')
    ]
    supernet: Supernet
    front: FrontFile
    device: ExportDevice
    not_measured: Annotated[list[str], Meta(description="What is claimed of the device and was never measured on it.")]
    files: dict[str, File]
    checks: Annotated[dict[str, Check], Meta(description="By the ONNX file's name.")]
    versions: dict[str, str]


class KnownLatency(_Object, kw_only=True):
    """A submodel's latency on a device, by its profile."""

    ms: Amount
    low_ms: Amount
    high_ms: Amount
    source: Source


class MemberCheck(_Object, kw_only=True):
    """What a bundle's graph was found to do; its outputs are those of the submodel's own file, bit by bit."""

    max_difference: Annotated[Amount, Meta(description="Of outputs, from those of torch.")]
    near_ties: Whole
    ms: Annotated[Amount, Meta(description="Its latency on the machine that exported it.")]
    ms_alone: Annotated[Amount, Meta(description="That of the submodel's own file, measured in turns.")]
    ratio: Amount


class Member(_Object, kw_only=True):
    """One submodel of a bundle."""

    id: Id
    row: Annotated[Whole, Meta(description="Of the front.")]
    file: str
    width: Fraction
    depth: Fraction
    parameters: Whole
    macs: Whole
    gflops: Amount
    bytes: Annotated[Whole, Meta(description="Of its graph.")]
    bytes_alone: Annotated[Whole, Meta(description="Of its own file, which is not in the bundle.")]
    accuracy: Accuracy
    latencies: Annotated[dict[str, KnownLatency], Meta(description="By device, that of the front first.")]
    check: MemberCheck
    tolerance: Annotated[
        Amount | UnsetType,
        Meta(description="How far outputs may be from the sample's in another runtime, where not in float32."),
    ] = UNSET


class BundleSizes(_Object, kw_only=True):
    """Bytes of a bundle; `ratio` is weights and graphs over the full model's own file."""

    weights: Whole
    graphs: Whole
    full_export: Whole
    ratio: Amount
    alone: Annotated[Whole, Meta(description="Of the submodels' own files together.")]


class BundleFront(_Object, kw_only=True):
    """The front whose rows these are."""

    digest: Digest
    created: Moment


class ExportElastic(_Object, kw_only=True):
    """What `bstsearch export --elastic --json` prints: the folder's elastic.json, and its path."""

    path: str
    format: Literal[1]
    created: Moment
    metric: Annotated[Metric | UnsetType, Meta(description="Of the scores; only where it is not accuracy.")] = UNSET
    data: str
    inputs: dict[str, Tensor]
    output: Annotated[
        dict[Literal["logits", "output"], Tensor], Meta(description='Called "logits" where a task tells classes apart.')
    ]
    supernet: Supernet
    front: BundleFront
    device: Device
    threads: Whole
    cpu: str
    sizes: BundleSizes
    submodels: list[Member]
    files: dict[str, File]
    versions: dict[str, str]


class PageWeights(_Object, kw_only=True):
    """The file of weights of a page; `version` is a part of its SHA-256."""

    bytes: Whole
    version: str


class PageMember(_Object, kw_only=True):
    """One submodel of a page."""

    id: Id
    file: str
    version: Annotated[str, Meta(description="Of its graph, a part of the SHA-256.")]
    parameters: Whole
    score: Annotated[str, Meta(description="With its unit, as the page shows it.")]
    goodness: Annotated[float, Meta(description="The score, its sign turned where less is better.")]
    ms: Annotated[Amount, Meta(description="Its latency on the device.")]
    bytes: Annotated[Whole, Meta(description="What a browser fetches for it: its graph, and spans of the weights.")]
    spans: Annotated[list[tuple[Whole, Whole]], Meta(description="Of the weights: first byte, and one past the last.")]
    tolerance: Annotated[
        Amount | None,
        Meta(description="How far outputs may be from the sample's in another runtime, where not in float32."),
    ]


class ExportWeb(_Object, kw_only=True):
    """What `bstsearch export --web DIR --json` prints: the folder's page.json, and its path."""

    path: str
    format: Literal[1]
    device: str
    weights: PageWeights
    files: Annotated[
        dict[str, str], Meta(description="What all submodels need beside weights and graphs: a part of its SHA-256.")
    ]
    submodels: list[PageMember]


# eval, ask


class Scored(_Object, kw_only=True):
    """A submodel's score."""

    id: Id
    accuracy: Annotated[float, Meta(description="The score, whatever the metric; a share where that is accuracy.")]
    accuracy_low: Annotated[float, Meta(description="The 95 % interval.")]
    accuracy_high: float
    correct: Annotated[Amount | None, Meta(description="Null where the score is no share of right answers.")]
    questions: Annotated[Whole, Meta(description="How many examples were scored.")]
    details: Annotated[dict[str, float], Meta(description="Further figures of the data set's own, as they are shown.")]


class Eval(_Object, kw_only=True):
    """What `bstsearch eval --json` prints."""

    model: str
    split: str
    metric: Annotated[Metric | UnsetType, Meta(description="Of the scores; only where it is not accuracy.")] = UNSET
    submodels: Annotated[list[Scored], Meta(description="Empty where the split's targets are kept back.")]


class Answer(_Object, kw_only=True):
    """An answer and how likely the model holds it to be."""

    answer: str
    probability: Share


class Ask(_Object, kw_only=True):
    """What `bstsearch ask --json` prints."""

    submodel: Id
    answers: Annotated[list[Answer], Meta(description="The most likely first.")]
    time_ms: Amount
    runtime: str


class Serve(_Object, kw_only=True):
    """What `bstsearch serve --json` prints once it can be asked."""

    bundle: str
    address: Annotated[str, Meta(description="Where it listens, such as http://127.0.0.1:8000.")]
    submodels: Annotated[list[Id], Meta(description="The most accurate first.")]


# failure


class Failure(_Object, kw_only=True):
    """Why the command failed."""

    kind: Literal["bug", "usage", "infeasible-budget", "input", "device", "noisy-measurement", "interrupted"]
    message: Annotated[str, Meta(description="One line.")]
    exit_code: Literal[1, 2, 3, 4, 5, 6, 130]
    remedy: Annotated[str | None, Meta(description="The end of the message that says what to do, where it does.")]


class Error(_Object, kw_only=True):
    """What any verb prints with --json where it fails, in place of the rest."""

    error: Failure


SCHEMAS: dict[str, type[Struct]] = {
    "space": Space,
    "inspect": Inspect,
    "import": Import,
    "import-stock": ImportStock,
    "train": Train,
    "profile": Shown,
    "pareto": Pareto,
    "pareto-fronts": ParetoFronts,
    "worker": Worker,
    "export": Export,
    "export-elastic": ExportElastic,
    "export-web": ExportWeb,
    "export-stock": ExportStock,
    "eval": Eval,
    "ask": Ask,
    "serve": Serve,
    "devices": Devices,
    "devices-show": DevicesShow,
    "devices-validate": DevicesValidate,
    "error": Error,
}

# What only the schema of another one names.
BESIDE: dict[type[Struct], tuple[type[Struct], ...]] = {Train: (Tally, Measured)}


def schema(name: str) -> str:
    """The text of docs/schemas/`name`.json."""
    kind = SCHEMAS[name]
    _, parts = msgspec.json.schema_components([kind, *BESIDE.get(kind, ())], ref_template="#/$defs/{name}")
    whole = parts.pop(kind.__name__)
    beside = {"$defs": parts} if parts else {}
    return json.dumps({"$schema": DRAFT, **whole, **beside}, indent=2) + "\n"


if __name__ == "__main__":
    for name in SCHEMAS:
        (FOLDER / f"{name}.json").write_text(schema(name), encoding="utf-8")
