"""The page of a comparison: what stands beside what, and that it can do nothing but show it."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest

from miex.dataset import Dataset, open_dataset
from miex.images import decode_image
from miex.report.side_by_side import difference, render_side_by_side

HOSTILE = "<script>document.title='run'</script>"


@pytest.fixture(scope="module")
def samples(finished: Path) -> Dataset:
    return open_dataset(finished)[[3, 0]]


@pytest.fixture(scope="module")
def page(samples: Dataset) -> str:
    return render_side_by_side(("one", HOSTILE), (samples, samples), ["<table><tr><td>told</td></tr></table>"])


def test_each_sample_shows_its_stored_frames_and_their_difference(samples: Dataset, page: str) -> None:
    shown = re.findall(r'<figure class="(\w+)"><img alt="[^"]*" src="data:image/png;base64,([^"]+)">', page)
    assert [kind for kind, _ in shown] == ["onset", "apex", "difference"] * 2 * 2
    pictures = [base64.b64decode(content) for _, content in shown]
    for i in range(2):
        stored, (onset, apex) = samples.stored(i).frames, samples.pair(i)
        for first in (6 * i, 6 * i + 3):
            assert tuple(pictures[first : first + 2]) == stored
            told = decode_image(pictures[first + 2], "difference").astype(int)
            assert np.array_equal(told, np.clip(128 + 10 * (apex.astype(int) - onset), 0, 255))
    assert re.findall(r'data-sample="([^"]+)"', page) == samples.table["sample_id"].to_pylist()


def test_aus_are_named_and_those_of_both_sets_where_they_differ(samples: Dataset, page: str) -> None:
    z = samples[0].aus[1]
    (i,) = np.flatnonzero(z)[:1]
    assert f"<td>{z[i]:.2f}</td></tr>" in page
    assert "<th>a</th><th>b</th>" not in page
    other = render_side_by_side(("a", "b"), (samples[:1], samples[1:]), [])
    assert "<th>a</th><th>b</th>" in other


def test_names_are_text_and_nothing_runs(page: str) -> None:
    assert escape(HOSTILE) in page
    assert "<script" not in page
    policy = page.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "told" in page
    assert "nobody in these pictures made these expressions" in page
    assert "NASA" in page  # whose photo it is


def test_differences_are_clipped() -> None:
    onset, apex = np.array([[100, 100, 200, 7]], np.uint8), np.array([[103, 80, 255, 7]], np.uint8)
    assert difference(onset, apex).tolist() == [[158, 0, 255, 128]]
