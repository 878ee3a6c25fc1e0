"""Every way by which files come into the package, by the room that owns it."""

from __future__ import annotations

from collections.abc import Mapping

from data_readers import QUESTIONS, STORES
from model_readers import PUBLISHED, RECORDS, SEARCHING
from reader import Reader

ROOMS: Mapping[str, tuple[Reader, ...]] = {
    "stores": STORES,
    "questions": QUESTIONS,
    "records": RECORDS,
    "searching": SEARCHING,
    "published": PUBLISHED,
}
