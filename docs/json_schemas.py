"""Writes docs/schemas, a JSON Schema (draft 2020-12) of what each verb prints with --json: `make docs`.

A model here is one object, and its first line the description of it. Each field says its unit and what it is; a
field without a default is always there. The tests hold what the verbs print against these.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model
from pydantic.json_schema import GenerateJsonSchema

from bstsearch.profiles.latency import Source
from bstsearch.searching.costs import by_name, objective_keys

FOLDER = Path(__file__).parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

Whole = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[str, Field(pattern=r"^[1-9][0-9]*(/[1-9][0-9]*)?$", description='An exact fraction, as "1/2".')]
Id = Annotated[str, Field(description='A submodel\'s id, as "w1of2-d1of3".')]
Moment = Annotated[str, Field(description="Date and time, ISO 8601.")]
Digest = Annotated[str, Field(description="The beginning of a SHA-256, in hex.")]
Setting = bool | int | float | str | None | list[bool | int | float | str]
ELSEWHERE = "$ref of a file"  # becomes "$ref"; pydantic itself refers to nothing outside
Profile = Annotated[Any, WithJsonSchema({ELSEWHERE: "../device-profile.schema.json"})]
KnownRuntime = Annotated[Any, WithJsonSchema({ELSEWHERE: "../device-profile.schema.json#/$defs/Runtime"})]


class _Object(BaseModel):
    model_config = ConfigDict(extra="forbid")


# space


class OnDevice(_Object):
    """One submodel's latency on a device, at batch 1."""

    ms: Amount
    source: Source
    low_ms: Amount
    high_ms: Amount
    fits: bool | None = Field(description="Whether it keeps to the budget; null without one.")


class Counted(_Object):
    """What one submodel costs on any device, at batch 1 in float32."""

    id: Id
    is_in_space: bool = Field(description="Whether it is trained; false only with --all.")
    parameters: Whole
    parameters_ratio: Share = Field(description="Of the full model's.")
    macs: Whole = Field(description="Multiply-adds.")
    macs_ratio: Share = Field(description="Of the full model's.")
    gflops: Amount = Field(description="Two for each multiply-add, in 1e9.")
    size_bytes: Whole
    latencies: dict[str, OnDevice] = Field(description="By the device's name; empty without --device.")


class SpaceDevice(_Object):
    """A device that latencies were asked of."""

    name: str
    obtained: Literal["measured", "calibrated", "estimated"]
    budget_ms: Amount | None = Field(description="Null without --budget-ms.")
    warnings: list[str]


class Space(_Object):
    """What `bstsearch space --json` prints."""

    model: str = Field(description="The preset's name, or the supernet folder's.")
    family: str
    config: dict[str, Setting] = Field(description="The full model's sizes, by name.")
    fixed_macs: Whole = Field(description="Multiply-adds of the part that is never slimmed, in each submodel.")
    budget_at: Literal["high", "middle"] = Field(description="Which end of a range is held against the budget.")
    devices: list[SpaceDevice]
    submodels: list[Counted]


# import, train


class Used(_Object):
    """Tensors of a checkpoint, and the numbers in them."""

    tensors: Whole
    parameters: Whole


class Unused(_Object):
    """Tensors of a checkpoint that the model has no use for, and the numbers in them."""

    tensors: Whole
    numbers: Whole


class Import(_Object):
    """What `bstsearch import --json` prints."""

    path: str = Field(description="The supernet folder.")
    family: str
    data: str = Field(description='The data set that it answers, or "none".')
    assumed: dict[str, str] = Field(description="What shapes cannot tell and was not given, by whose word.")
    used: Used
    not_used: dict[str, Unused] = Field(description="By the reason.")
    submodels: list[Id]


class Metric(_Object):
    """What kind of number the scores are."""

    name: str
    unit: str
    is_higher_better: bool
    worst: float | None
    best: float | None


class Tally(_Object):
    """How many questions were answered right."""

    correct: Amount = Field(description="A sum of shares where the data set's accuracy gives shares.")
    total: Whole


class Measured(_Object):
    """A score that is no share of right answers."""

    value: float
    low: float = Field(description="The 95 % interval.")
    high: float
    total: Whole = Field(description="How many examples were scored.")


class Train(_Object):
    """What `bstsearch train --json` prints, and metrics.json holds."""

    recipe: dict[str, Setting] = Field(description="Every setting, under a dotted name.")
    data: str
    metric: Metric = Field(default=None, description="Of the scores; only where it is not accuracy.")
    bstsearch: str = Field(description="Version.")
    commit: str | None
    torch: str = Field(description="Version.")
    machine: str
    validation: dict[Id, Tally | Measured] = Field(default={}, description="Missing where targets are kept back.")
    test: dict[Id, Tally | Measured] = Field(default={}, description="Missing where targets are kept back.")


# profile, devices


class Shown(_Object):
    """What `bstsearch profile --json` prints."""

    path: str = Field(description="The profile's file.")
    is_new: bool = Field(description="Whether it was measured now.")
    profile: Profile


class DevicesShow(_Object):
    """What `bstsearch devices show --json` prints."""

    path: str = Field(description="The profile's file.")
    profile: Profile


class DevicesValidate(_Object):
    """What `bstsearch devices validate --json` prints of a valid file; of another one it prints an error."""

    path: str
    device: str
    obtained: Literal["measured", "calibrated", "estimated"]
    date: Moment


class Stored(_Object):
    """One stored profile; all but its file is null where the file is broken."""

    device: str
    path: str
    problem: str | None = Field(description="What is wrong with the file.")
    title: str | None
    soc: str | None
    obtained: Literal["measured", "calibrated", "estimated"] | None
    via: Literal["local", "ssh", "browser", "adb"] | None
    date: Moment | None
    runtime: KnownRuntime | None
    interval: Amount | None = Field(description="What a latency may be off by: 0.4 is ms / 1.4 to ms x 1.4.")


class Devices(_Object):
    """What `bstsearch devices --json` prints."""

    devices: list[Stored]


# pareto


class Candidate(_Object):
    """A submodel, with what one example costs; what was not scored has no accuracy."""

    id: Id
    width: Fraction
    depth: Fraction
    parameters: Whole
    macs: Whole = Field(description="Multiply-adds.")
    gflops: Amount = Field(description="Two for each multiply-add, in 1e9.")
    latency_ms: Amount
    latency_low_ms: Amount
    latency_high_ms: Amount = Field(description="What is held against a budget.")
    latency_source: Source
    memory_bytes: Whole = Field(description="Peak memory.")
    memory_low_bytes: Whole
    memory_high_bytes: Whole
    memory_source: Source
    size_bytes: Whole = Field(description="Of the parameters in float32.")
    accuracy: float | None = Field(description="The score, whatever the metric; a share where that is accuracy.")
    accuracy_low: float | None = Field(description="The 95 % interval.")
    accuracy_high: float | None
    correct: Amount | None = Field(description="Null, too, where the metric is not accuracy.")
    questions: Whole | None


CostedCandidate = create_model(
    "Candidate",
    __base__=Candidate,
    __doc__=Candidate.__doc__,
    **{name: (Amount, ...) for name in by_name() if name not in Candidate.model_fields},
)


class _At(_Object):
    at: Literal["high", "middle"] = Field(description="Which end of a range keeps to them.")


Budget = create_model(
    "Budget",
    __base__=_At,
    __doc__="Upper bounds by cost; null leaves it free. MB are 1e6 bytes.",
    **dict.fromkeys(by_name(), (Amount | None, ...)),
)


Objective = Annotated[str, Field(json_schema_extra={"enum": objective_keys()})]


Reference = create_model(
    "Reference",
    __base__=_Object,
    __doc__="The worst corner of the box of possible trade-offs: of the objectives only.",
    accuracy=(float, ...),
    **dict.fromkeys(by_name(), (Amount, 0)),
)


class Hypervolume(_Object):
    """How much of that box the front dominates."""

    value: Share
    reference: Reference  # type: ignore[valid-type]


class Supernet(_Object):
    """The supernet whose submodels these are."""

    path: str
    digest: Digest
    architecture: str = Field(description="A digest of its shapes.")
    family: str


class Submodels(_Object):
    """The submodels that there are to choose from."""

    widths: list[Fraction]
    depths: list[Fraction]
    stacks: list[Whole] = Field(description="Layers of each stack.")
    has_triangle_filter: bool = Field(description="Whether wide and shallow ones are left out.")
    layer_heads: list[Fraction]
    layer_ffn: list[Fraction]


class FrontRuntime(_Object):
    """What runs the submodels on the device."""

    name: str
    version: str
    provider: str
    threads: Whole
    precision: Literal["float32"]
    cores_used: str | None
    words: str = Field(description="Name and version, to be shown.")


class Device(_Object):
    """The device profile that latencies come from."""

    name: str
    obtained: Literal["measured", "calibrated", "estimated"]
    via: Literal["local", "ssh", "browser", "adb"] | None
    latency_error: Amount | None = Field(description="What a latency that was not measured may be off by, as a share.")
    digest: Digest
    runtime: FrontRuntime


class Stack(_Object):
    """A list of layers: the order in which they are kept, and the sizes of each where they are known."""

    name: str = Field(description="Prefix in the state dict.")
    keep_order: list[Whole]
    heads: list[Whole] = Field(description="Of each layer; empty where not known.")
    ffn: list[Whole] = Field(description="Of each layer; empty where not known.")


class Pareto(_Object):
    """What `bstsearch pareto --json` prints, and front.json holds."""

    format: Literal[1]
    created: Moment
    bstsearch: str = Field(description="Version.")
    supernet: Supernet
    space: Submodels
    split: str = Field(description="What was scored on.")
    device: Device
    data_folder: str = Field(default="", description="Only where the data set is read from the user's disk.")
    data_set: str = Field(default="", description="Only where the supernet was trained for another one.")
    sampler: str
    is_exact: bool = Field(description="Whether every submodel within `searched` was scored.")
    trials: Whole
    searched: Budget  # type: ignore[valid-type]
    budget: Budget  # type: ignore[valid-type]
    objectives: list[Objective] = Field(description="What is traded: the score, then costs.")
    metric: Metric = Field(default=None, description="Of the score; only where it is not accuracy.")
    aimed_at: list[Objective] = Field(description="The objectives for which a sampler searched.")
    hypervolume: Hypervolume
    candidates: list[CostedCandidate]  # type: ignore[valid-type]
    front: list[Id] = Field(description="Least of the first cost first; rows are counted from 1.")
    recommended: Id
    rule: str = Field(description="How it was chosen.")
    stacks: list[Stack] = Field(description="Of the full model; empty where an older version searched.")


class ParetoDevices(_Object):
    """What `bstsearch pareto --json` prints for several devices."""

    devices: dict[str, Pareto] = Field(description="By the device's name.")
    on_all_fronts: list[Id]


# export


class Accuracy(_Object):
    """A share of right answers with its 95 % interval."""

    split: str
    correct: Amount
    questions: Whole
    value: Share
    low: Share
    high: Share


class Picked(_Object):
    """The submodel that was taken."""

    id: Id
    width: Fraction
    depth: Fraction
    parameters: Whole
    macs: Whole
    gflops: Amount


class Tensor(_Object):
    """An input or output of the ONNX files."""

    shape: list[Whole | str] = Field(description='Sizes; "batch" is free.')
    dtype: str


class FrontFile(_Object):
    """The front that it was taken from."""

    digest: Digest
    row: Whole | None = Field(description="Null where it is not on the front.")
    created: Moment


class ExportDevice(Device):
    """The device profile that the search went by."""

    latency_source: Source


class File(_Object):
    """A file of the folder."""

    bytes: Whole
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Timed(_Object):
    """The latency of an ONNX file on the machine that exported it, beside the profile's."""

    ms: Amount
    low_ms: Amount
    high_ms: Amount
    seen_ms: Amount = Field(description="Median by the clock on the wall; `ms` is the quiet latency.")
    threads: Whole
    cpu: str
    profile_ms: Amount
    ratio: Amount = Field(description="ms / profile_ms.")


class Check(_Object):
    """What an ONNX file was found to do."""

    max_difference: Amount = Field(description="Of logits, from those of torch.")
    near_ties: Whole = Field(description="Questions whose two best logits lie so close that rounding decides.")
    accuracy: Accuracy
    latency: Timed


class Export(_Object):
    """What `bstsearch export --json` prints: the folder's manifest.json, and its path."""

    path: str
    format: Literal[1]
    created: Moment
    submodel: Picked
    accuracy: Accuracy
    data: str
    inputs: dict[str, Tensor]
    output: dict[Literal["logits"], Tensor]
    supernet: Supernet
    front: FrontFile
    device: ExportDevice
    not_measured: list[str] = Field(description="What is claimed of the device and was never measured on it.")
    files: dict[str, File]
    checks: dict[str, Check] = Field(description="By the ONNX file's name.")
    versions: dict[str, str]


# eval, ask


class Scored(_Object):
    """A submodel's score."""

    id: Id
    accuracy: float = Field(description="The score, whatever the metric; a share where that is accuracy.")
    accuracy_low: float = Field(description="The 95 % interval.")
    accuracy_high: float
    correct: Amount | None = Field(description="Null where the score is no share of right answers.")
    questions: Whole = Field(description="How many examples were scored.")
    details: dict[str, float] = Field(description="Further figures of the data set's own, as they are shown.")


class Eval(_Object):
    """What `bstsearch eval --json` prints."""

    model: str
    split: str
    metric: Metric = Field(default=None, description="Of the scores; only where it is not accuracy.")
    submodels: list[Scored] = Field(description="Empty where the split's targets are kept back.")


class Answer(_Object):
    """An answer and how likely the model holds it to be."""

    answer: str
    probability: Share


class Ask(_Object):
    """What `bstsearch ask --json` prints."""

    submodel: Id
    answers: list[Answer] = Field(description="The most likely first.")
    time_ms: Amount
    runtime: str


# failure


class Failure(_Object):
    """Why the command failed."""

    kind: Literal["bug", "usage", "infeasible-budget", "input", "device", "noisy-measurement", "interrupted"]
    message: str = Field(description="One line.")
    exit_code: Literal[1, 2, 3, 4, 5, 6, 130]
    remedy: str | None = Field(description="The end of the message that says what to do, where it does.")


class Error(_Object):
    """What any verb prints with --json where it fails, in place of the rest."""

    error: Failure


SCHEMAS: dict[str, type[BaseModel]] = {
    "space": Space,
    "import": Import,
    "train": Train,
    "profile": Shown,
    "pareto": Pareto,
    "pareto-devices": ParetoDevices,
    "export": Export,
    "eval": Eval,
    "ask": Ask,
    "devices": Devices,
    "devices-show": DevicesShow,
    "devices-validate": DevicesValidate,
    "error": Error,
}


class _Plain(GenerateJsonSchema):
    """Without a title for each field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def schema(name: str) -> str:
    """The text of docs/schemas/`name`.json."""
    made = SCHEMAS[name].model_json_schema(schema_generator=_Plain)
    for part in (made, *made.get("$defs", {}).values()):
        for field in part.get("properties", {}).values():
            field.pop("default", None)  # of a field that may be missing, which reads as one that is filled in
    return json.dumps({"$schema": DRAFT, **made}, indent=2).replace(ELSEWHERE, "$ref") + "\n"


if __name__ == "__main__":
    for name in SCHEMAS:
        (FOLDER / f"{name}.json").write_text(schema(name), encoding="utf-8")
