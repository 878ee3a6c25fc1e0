"""Every way by which files come into the package, by the room that owns it."""

from __future__ import annotations

from collections.abc import Mapping

from checkpoint_readers import PUBLISHED
from data_readers import QUESTIONS, STORES
from model_readers import SEARCHING
from reader import Reader
from record_readers import RECORDS
from stock_readers import STOCK

ROOMS: Mapping[str, tuple[Reader, ...]] = {
    "stores": STORES,
    "questions": QUESTIONS,
    "records": RECORDS,
    "searching": SEARCHING,
    "published": PUBLISHED,
    "stock": STOCK,
}
