"""The scores of a front's members on the test part: taken once the front stands, so that nothing is chosen by them."""

from __future__ import annotations

from collections.abc import Sequence

from bstsearch.errors import InputError
from bstsearch.listener import Listener
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.scoring import Scorer

MEMBERS = 50  # that are tested: a front over many costs may have hundreds


def with_tests(file: FrontFile, score: Scorer, listener: Listener) -> FrontFile:
    """`file` with the test scores of its members; as it is where the data have no test part with targets."""
    members, scores = members_to_test(file), {}
    for done, one in enumerate(members, start=1):
        try:
            found = score.test(one.submodel)
        except InputError as error:
            listener.note(f"without scores on the test part: {error}")
            return file
        if found is None:
            return file
        scores[one.id] = found
        listener.progress("testing", done, len(members))
    if len(members) < len(file.front):
        listener.note(f"{len(members)} of {len(file.front)} rows have a score on the test part")
    return file.tested(scores)


def members_to_test(file: FrontFile) -> Sequence[Candidate]:
    """The members to test: all, or the recommended one and others that lie evenly along the front."""
    front = file.front
    if len(front) <= MEMBERS:
        return front
    step = (len(front) - 1) / (MEMBERS - 2)  # one place is left for the recommended one
    places = {round(place * step) for place in range(MEMBERS - 1)} | {front.index(file.recommended)}
    return [front[place] for place in sorted(places)]
