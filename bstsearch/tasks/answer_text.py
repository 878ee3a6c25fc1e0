"""Answers as VQA's evaluation compares them: without punctuation, articles and other ways of writing (no torch).

Public codes GT-Vision-Lab/VQA, file vqaEval.py, and MILVLG/openvqa, files ans_punct.py and vqaEval.py. Scores are only
comparable where every quirk of theirs is kept; the quirks are named where they are.
"""

from __future__ import annotations

import re

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
# Theirs means to spare full stops behind a digit, too, but its look-behind is mistyped and always true.
FULL_STOP = re.compile(r"\.(?!\d)")
MOST_FULL_STOPS = 32  # they pass a flag, whose number is 32, where the number of replacements is expected
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
WORDS = {"none": "0", **{name: str(number) for number, name in enumerate(NUMBERS)}}
ARTICLES = frozenset(("a", "an", "the"))
# Each is recognised with any one of its apostrophes left out.
CONTRACTIONS = """
ain't aren't can't couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't isn't mightn't mightn't've
mustn't needn't oughtn't shan't shouldn't shouldn't've wasn't weren't won't wouldn't wouldn't've
could've might've must've not've should've they've we've what've where've who've would've you've
he'd he'd've how'd it'd it'd've she'd've somebody'd've someone'd someone'd've something'd something'd've
there'd there'd've they'd they'd've we'd've where'd who'd who'd've you'd you'd've
how'll it'll somebody'll someone'll something'll they'll what'll who'll why'll you'll
there're they're what're why're you're
he's how's somebody's someone's that's there's what's when's where's who's why's
ma'am o'clock 'ow's'at 'twas y'all y'all'd've y'all'll
"""


def _with_gaps(text: str) -> list[str]:
    return [text[:place] + text[place + 1 :] for place, letter in enumerate(text) if letter == "'"]


# Theirs has four more, for "I", which never occur in lower-case text, two that change nothing, and one mistake.
EXPANDED = {short: full for full in CONTRACTIONS.split() for short in _with_gaps(full)} | {"somebody'd": "somebodyd"}


def without_punctuation(text: str) -> str:
    """`text` with punctuation deleted or replaced by spaces: step (2) of the evaluation.

    A character becomes a space. It is left out instead where it stands beside a space anywhere in `text`, or where
    `text` holds a number with a comma.

    >>> without_punctuation("black/white"), without_punctuation("black / white"), without_punctuation("1,000 t-shirts")
    ('black white', 'black  white', '1000 tshirts')
    """
    has_number = DIGIT_COMMA_DIGIT.search(text) is not None
    result = text
    for mark in PUNCTUATION:
        is_deleted = has_number or f"{mark} " in text or f" {mark}" in text
        result = result.replace(mark, "" if is_deleted else " ")
    return FULL_STOP.sub("", result, count=MOST_FULL_STOPS)


def without_articles(text: str) -> str:
    """`text` in lower case, numbers up to ten as digits, without articles, contractions in full: step (3).

    >>> without_articles("The two dogs arent none")
    "2 dogs aren't 0"
    """
    words = (WORDS.get(word, word) for word in text.lower().split())
    return " ".join(EXPANDED.get(word, word) for word in words if word not in ARTICLES)


def on_one_line(text: str) -> str:
    """`text` without line breaks, tabs and outer spaces: step (1)."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def evaluation_text(text: str) -> str:
    """`text` after all three steps, as a prediction is compared.

    >>> evaluation_text("A t-shirt.")
    't shirt'
    """
    return without_articles(without_punctuation(on_one_line(text)))


def class_text(text: str) -> str:
    """`text` as answer vocabularies hold it (the public codes' `prep_ans`): steps (2) and (3), then no comma.

    >>> class_text("Yes, it is.")
    'yes it is'
    """
    return without_articles(without_punctuation(text)).replace(",", "")
