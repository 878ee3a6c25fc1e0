from __future__ import annotations

import pytest

from bstsearch.measuring.fitting import fit_memory
from bstsearch.profiles.profile import MeasuredRow

MB = 1_000_000


def make_row(weight_bytes: int, activation_bytes: int | None, peak: int | None) -> MeasuredRow:
    return MeasuredRow(
        id="w1-d1",
        role="fit",
        latency_ms=1.0,
        low_ms=1.0,
        high_ms=1.0,
        p90_ms=1.0,
        spread=0.0,
        outliers=0,
        times_ms=(1.0,),
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
        peak_memory_bytes=peak,
    )


def made_up(runtime: int, copies: float, count: int = 10) -> list[MeasuredRow]:
    """Rows of a runtime that needs exactly this much."""
    sizes = [(weights * MB, (1 + weights % 3) * MB // 2) for weights in range(1, count + 1)]
    return [make_row(weights, live, round(runtime + copies * weights + live)) for weights, live in sizes]


@pytest.mark.parametrize(("runtime", "copies"), [(12 * MB, 2.0), (0, 1.0), (12 * MB, 0.0), (3 * MB, 1.3)])
def test_a_runtime_that_adds_up_is_found_exactly(runtime: int, copies: float) -> None:
    fit = fit_memory(made_up(runtime, copies))
    assert fit.runtime_bytes == pytest.approx(runtime, abs=2)
    assert fit.weight_copies == pytest.approx(copies, abs=1e-6)
    assert (fit.median, fit.worst, fit.rows) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6), 10)


def test_rows_without_a_peak_or_activations_do_not_count() -> None:
    rows = [*made_up(12 * MB, 2.0), make_row(MB, MB, None), make_row(MB, None, 100 * MB)]
    assert fit_memory(rows).rows == 10
    assert fit_memory(rows) == fit_memory(rows[:10])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_peaks_leave_a_lower_bound(count: int) -> None:
    """Two numbers are fitted, and a third peak is what tells whether they hold."""
    fit = fit_memory(made_up(12 * MB, 2.0, count))
    assert (fit.runtime_bytes, fit.weight_copies, fit.rows) == (0, 1.0, 0)


def test_errors_are_shares_of_what_was_computed() -> None:
    rows = made_up(12 * MB, 2.0)
    rows[4] = rows[4].model_copy(update={"peak_memory_bytes": round(1.2 * (rows[4].peak_memory_bytes or 0))})
    fit = fit_memory(rows)
    assert 0.1 < fit.worst < 0.2
    assert 0 < fit.median < 0.1


def test_nothing_is_below_zero() -> None:
    rows = [make_row(10 * MB * n, MB, 2 * MB - 1000 * n) for n in range(1, 6)]
    fit = fit_memory(rows)
    assert fit.runtime_bytes >= 0
    assert fit.weight_copies >= 0
