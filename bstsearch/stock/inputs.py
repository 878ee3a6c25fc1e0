"""Inputs of a stock model, made from what its forward takes and what its configuration says."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.model.family import FreeAxes, seeded
from bstsearch.reading import said
from bstsearch.stock.configuration import LENGTH, Reads, Settings, StockConfig
from bstsearch.stock.deadline import Deadline
from bstsearch.stock.module import StockModel, build, inputs_of

OBJECTS = 4  # boxes of a picture, for classes that take them
LONGEST = 48  # tokens of a text that must reach the end of a table; shrunk configurations keep to it
POSITIONS = re.compile(r"position_embeddings$|^n_positions$|^max_.*positions?$")  # the length of a table
PICTURES = ("plain", "listed", "patches")
GRID, PLACES = "image_grid_thw", "spatial_shapes"  # how many patches lie in a picture, where it comes as patches
TOKEN_OF_IMAGE = ("image_token_id", "image_token_index")
# Inputs that can be made, by the name that a forward has for them. Others stay at what the class takes for granted.
TEXT = ("input_ids", "attention_mask", "token_type_ids", "decoder_input_ids")
OTHERS = ("pixel_values", GRID, PLACES, "mm_token_type_ids", "visual_feats", "visual_pos")
PATCH_MASK = "pixel_attention_mask"
SOUND = "input_features"
MORE = (SOUND, PATCH_MASK, "visual_embeds", "visual_attention_mask", "visual_token_type_ids")
KNOWN = (*TEXT, *OTHERS, *MORE)


def example_inputs(config: StockConfig, batch: int) -> dict[str, Tensor]:
    """Inputs of the right names, types and shapes, random but seeded; token ids reach the last one."""
    makers, settings, reads = _makers(), config.settings, config.found.reads
    return {name: makers[name](settings, reads, batch) for name in reads.names}


def free_axes(config: StockConfig) -> FreeAxes:
    """The lengths of texts, but for classes that put pictures into them."""
    reads = config.found.reads
    return {} if reads.patches_per_token else {name: {1: "tokens"} for name in reads.names if name in TEXT[:3]}


def find_reads(config: StockConfig, deadline: Deadline) -> Reads:
    """What the class reads: the inputs with which it runs, of texts as long as its tables allow.

    InputError where no inputs are found, with what the class said of the first ones; OutOfTimeError where time is over.
    """
    inputs = inputs_of(config.architecture)
    taken = [name for name in inputs if name in KNOWN and _is_read(name, config.settings, inputs)]
    if "input_ids" not in taken and "attention_mask" in taken:
        taken.remove("attention_mask")
    if not taken:
        raise InputError(f"{config.architecture} takes no input that can be made, but {', '.join(inputs[1:4])}")
    reason, model = "", _built(config)
    for reads in _attempts(config.settings, tuple(taken)):
        deadline.check()
        attempt = dataclasses.replace(config, found=dataclasses.replace(config.found, reads=reads))
        try:
            with torch.no_grad():
                model.outputs(example_inputs(attempt, 2))
        except Exception as error:  # the class says in its own way what it does not take
            reason = reason or said(error)
            continue
        return reads
    raise InputError(f"{config.architecture} does not run with {', '.join(taken)} alone: {reason}")


def _built(config: StockConfig) -> StockModel:
    try:
        return build(config).eval()
    except Exception as error:  # what goes on the meta device may not go in memory
        raise InputError(f"{config.architecture} cannot be built of these sizes: {said(error)}") from error


def with_labels(config: StockConfig) -> StockConfig | None:
    """The same with labels for its texts, for classes that turn words into a loss alone; None where it takes none."""
    reads = config.found.reads
    if "labels" in reads.names or not {"labels", "decoder_input_ids"} <= set(inputs_of(config.architecture)):
        return None
    reads = dataclasses.replace(reads, names=(*reads.names, "labels"))
    return dataclasses.replace(config, found=dataclasses.replace(config.found, reads=reads))


def _attempts(settings: Settings, names: tuple[str, ...]) -> Iterator[Reads]:
    """Longer texts first, so that positions are reached; then fewer, with each way to hand in pictures."""
    tables = (value for name, value in _text(settings).items() if POSITIONS.search(name) and type(value) is int)
    longest = min([LONGEST, *(value for value in tables if value > 1)])
    lengths = (
        [longest, longest - 1, longest - 2, longest // 2, 8]
        if {"input_ids", "decoder_input_ids"} & set(names)
        else [LENGTH]
    )
    pictures = (
        ("patches",) if {GRID, PLACES} & set(names) else ("plain", "listed") if "pixel_values" in names else ("plain",)
    )
    tokens = (1, 4, 9, 16) if _image_token(settings) is not None else (0,)
    for length, picture, each in itertools.product(dict.fromkeys(lengths), pictures, tokens):
        yield Reads(names=names, length=length, picture=picture, patches_per_token=each)


def _is_read(name: str, settings: Settings, inputs: Sequence[str]) -> bool:
    if name == "token_type_ids":
        return int(_text(settings).get("type_vocab_size") or 0) > 1
    if name == "pixel_values":
        return _side(settings) > 0
    if name == SOUND:
        return _sounds(settings) > 0
    if name == PATCH_MASK:
        return PLACES in inputs
    return name != "input_ids" or vocabulary_size(settings) > 0


def _makers() -> Mapping[str, Callable[[Settings, Reads, int], Tensor]]:
    return {
        "input_ids": _words,
        "decoder_input_ids": lambda settings, reads, batch: _words(settings, reads, batch, is_plain=True),
        "labels": lambda settings, reads, batch: _words(settings, reads, batch, is_plain=True),
        "attention_mask": lambda _settings, reads, batch: torch.ones(batch, reads.length, dtype=torch.int64),
        "token_type_ids": _kinds,
        "mm_token_type_ids": lambda settings, reads, batch: _are_images(settings, reads, batch).int(),
        "pixel_values": _pixels,
        GRID: lambda settings, _reads, batch: torch.tensor([[1, _grid(settings), _grid(settings)]] * batch),
        PLACES: lambda settings, _reads, batch: torch.tensor([[_grid(settings), _grid(settings)]] * batch),
        PATCH_MASK: lambda settings, _reads, batch: torch.ones(batch, _grid(settings) ** 2, dtype=torch.int64),
        SOUND: lambda settings, _reads, batch: _random(batch, settings["num_mel_bins"], 2 * _sounds(settings)),
        "visual_feats": lambda settings, _reads, batch: _random(batch, OBJECTS, settings["visual_feat_dim"]),
        "visual_pos": lambda settings, _reads, batch: _random(batch, OBJECTS, settings["visual_pos_dim"]).sigmoid(),
        "visual_embeds": lambda settings, _reads, batch: _random(batch, OBJECTS, settings["visual_embedding_dim"]),
        "visual_attention_mask": lambda _settings, _reads, batch: torch.ones(batch, OBJECTS, dtype=torch.int64),
        "visual_token_type_ids": lambda _settings, _reads, batch: torch.ones(batch, OBJECTS, dtype=torch.int64),
    }


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded())


def _words(settings: Settings, reads: Reads, batch: int, *, is_plain: bool = False) -> Tensor:
    """Token ids, the last of them at the end; those that stand for pictures in between, where texts hold them."""
    usable, end = _usable(settings), _text(settings).get("eos_token_id")
    words = usable[torch.randint(len(usable), (batch, reads.length), generator=seeded())]
    words[:, -2:] = usable[-1]
    if isinstance(end, int) and end < vocabulary_size(settings):
        words[:, -1] = end  # some classes look for it
    token = _image_token(settings)
    if token is not None and not is_plain:
        words[_are_images(settings, reads, batch)] = token
    return words


def _usable(settings: Settings) -> Tensor:
    """The ids that stand for words, in rising order."""
    is_word = torch.ones(vocabulary_size(settings), dtype=torch.bool)
    is_word[[token for token in _special(settings) if 0 <= token < len(is_word)]] = False
    return is_word.nonzero().flatten()


def _special(settings: Settings) -> set[int]:
    """The ids that stand for no word, wherever the configuration names them; a class may look for them."""
    own = {int(value) for name, value in settings.items() if name.endswith(("_id", "_index")) and type(value) is int}
    below = [_special(value) for value in settings.values() if isinstance(value, dict)]
    return own.union(*below)


def _are_images(settings: Settings, reads: Reads, batch: int) -> Tensor:
    """Which tokens stand for the picture: those behind the first one."""
    found = torch.zeros(batch, reads.length, dtype=torch.bool)
    if reads.patches_per_token:
        found[:, 1 : 1 + _grid(settings) ** 2 // reads.patches_per_token] = True
    return found


def _kinds(settings: Settings, reads: Reads, batch: int) -> Tensor:
    kinds = int(_text(settings)["type_vocab_size"])
    return (torch.arange(reads.length) * kinds // reads.length).expand(batch, -1).contiguous()


def _pixels(settings: Settings, reads: Reads, batch: int) -> Tensor:
    vision, side = _vision(settings), _side(settings)
    channels = int(vision.get("num_channels") or vision.get("in_channels") or vision.get("in_chans") or 3)
    if reads.picture == "patches":
        numbers = channels * int(vision.get("temporal_patch_size") or 1) * int(vision["patch_size"]) ** 2
        return _random(batch, _grid(settings) ** 2, numbers)
    listed = (int(vision.get("num_frames") or 1),) if reads.picture == "listed" else ()
    return _random(batch, *listed, channels, side, side)


def _sounds(settings: Settings) -> int:
    """The places of a sound once the class has halved it, where it says how many."""
    return int(settings.get("max_source_positions") or 0) if settings.get("num_mel_bins") else 0


def _text(settings: Settings) -> Settings:
    found: Settings = settings.get("text_config") or settings
    return found


def _vision(settings: Settings) -> Settings:
    found: Settings = settings.get("vision_config") or settings
    return found


def vocabulary_size(settings: Settings) -> int:
    """How many tokens the model knows; 0 where it reads no text."""
    return int(_text(settings).get("vocab_size") or settings.get("vocab_size") or 0)


def _side(settings: Settings) -> int:
    """The side of a picture in pixels; where any goes, of four patches."""
    vision = _vision(settings)
    side, patch = vision.get("image_size"), vision.get("patch_size")
    side = side[0] if isinstance(side, list) else side
    if side is None and isinstance(patch, int):
        side = 4 * patch
    return int(side or 0)


def _grid(settings: Settings) -> int:
    """How many patches lie side by side."""
    patch = _vision(settings)["patch_size"]
    return _side(settings) // int(patch[0] if isinstance(patch, list) else patch)


def _image_token(settings: Settings) -> int | None:
    return next((settings[name] for name in TOKEN_OF_IMAGE if isinstance(settings.get(name), int)), None)
