"""Readers of stock models, of texts and what is kept of them, and of bundles."""

from __future__ import annotations

import json
from pathlib import Path

import sentences
from model_readers import make_models
from reader import Reader

from bstsearch import doors
from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.exporting.elastic import export_elastic
from bstsearch.stock import exporting
from bstsearch.stock.configuration import FILE, KEPT, Found, StockConfig, read_settings
from bstsearch.stock.importing import kept_inspection, pooling_of
from bstsearch.tasks.text import Text
from bstsearch.tasks.text_lines import read_parts
from bstsearch.tasks.text_split import tokenizer_of


def make_stock(folder: Path) -> None:
    settings = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32}
    (folder / FILE).write_text(json.dumps(settings))
    (folder / KEPT).write_text(json.dumps({"transformers": "5.0.0", "class": "BertModel", "groups": []}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / FILE).write_text(json.dumps({"word_embedding_dimension": 32, "pooling_mode_cls_token": 1}))


def read_stock(folder: Path) -> list[object]:
    return [read_settings(folder), pooling_of(folder), kept_inspection(folder)]


def follow_stock(folder: Path) -> None:
    """What tells sentence-transformers the width of a submodel, which here is the full one's."""
    config = StockConfig(architecture="BertModel", settings={"hidden_size": 32}, found=Found())
    exporting._follow(folder, folder, config, config)


def make_texts(folder: Path) -> None:
    doors._admitted["family", "sentences"] = sentences.FAMILY
    net, lines = sentences.write_teacher(folder / "net"), sentences.write_lines(folder / "lines.txt")
    Text.load(net, lines).save(net)


def read_texts(folder: Path) -> list[object]:
    net = folder / "net"
    tokenizer = tokenizer_of((net / "tokenizer.json").read_text(errors="replace"), net / "tokenizer.json")
    return [read_parts(folder / "lines.txt"), Text.load(net, None), tokenizer]


def make_bundle(folder: Path) -> None:
    make_models(folder)
    export_elastic(["1"], front=Path("front.json"), out=Path("bundle"))


STOCK = (
    Reader(name="stock", make=make_stock, read=read_stock, files={FILE: "json", KEPT: "json"}),
    Reader(name="pooling", make=make_stock, read=follow_stock, files={f"1_Pooling/{FILE}": "json"}),
    Reader(
        name="texts",
        make=make_texts,
        read=read_texts,
        files={"net/text.json": "json", "net/tokenizer.json": "json", "lines.txt": "lines"},
        step=3,
    ),
    Reader(
        name="bundle",
        make=make_bundle,
        read=lambda folder: read_bundle(folder / "bundle"),
        files={"bundle/elastic.json": "json"},
    ),
)
