"""Readers of stock models, of texts and what is kept of them, and of bundles."""

from __future__ import annotations

import json
from pathlib import Path

import classifiers
import datasets
import sentences
from model_readers import make_models
from reader import Reader

from bstsearch import doors
from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.exporting.elastic import export_elastic
from bstsearch.formats import datasets_folder, labelled_tables
from bstsearch.formats.labelled import TEXT, check_texts
from bstsearch.stock import exporting
from bstsearch.stock.configuration import FILE, KEPT, Found, StockConfig, read_settings
from bstsearch.stock.importing import kept_inspection, pooling_of
from bstsearch.tasks.labelled import TextClassification
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


def make_labelled(folder: Path) -> None:
    datasets.disable_progress_bars()
    classifiers.write_csv(folder / "train.csv", classifiers.reviews(6))
    rows = [{"text": text, "label": label} for text, label in classifiers.reviews(6)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = datasets.Dataset.from_list(rows)
    table.to_parquet(folder / "train.parquet")
    datasets.DatasetDict(train=table).save_to_disk(folder / "set")
    TextClassification(None, names=("neg", "pos")).save(folder)


def read_labelled(folder: Path) -> list[object]:
    found = [labelled_tables.read_parts(folder / name, TEXT) for name in ("train.csv", "train.jsonl", "train.parquet")]
    found.append(datasets_folder.read_parts(folder / "set", TEXT))
    for parts in found:
        check_texts(parts["train"])
    return [*found, TextClassification.load(folder, None).names]


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
        name="labelled",
        make=make_labelled,
        read=read_labelled,
        files={
            "train.csv": "csv",
            "train.jsonl": "json lines",
            "train.parquet": "bytes",
            "set/dataset_dict.json": "json",
            "set/train/state.json": "json",
            "set/train/data-00000-of-00001.arrow": "bytes",
            "classes.json": "json",
        },
        step=2,
    ),
    Reader(
        name="bundle",
        make=make_bundle,
        read=lambda folder: read_bundle(folder / "bundle"),
        files={"bundle/elastic.json": "json"},
    ),
)
