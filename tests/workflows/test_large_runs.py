"""The page of a run with more steps than can be drawn or listed at once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as Browser

from tests.workflows.test_pages import browser, page  # noqa: F401  the signed-in browser
from workflows.models import Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

# Three layers: 150 tiles are read, each is fitted, and all of them are joined.
LARGE = "name: large\ntitle: A large one\nsteps:\n" + "".join(
    f"  read{n}: {{title: Read tile {n}, tool: core.echo}}\n"
    f"  fit{n}: {{title: Fit tile {n}, needs: [read{n}], tool: core.echo}}\n"
    for n in range(150)
) + "  join: {title: Join all, needs: [" + ", ".join(f"fit{n}" for n in range(150)) + (
    "], tool: core.echo}\n"
)  # fmt: skip


@pytest.fixture
def large(finished: Any) -> Run:
    run: Run = finished(LARGE)
    assert run.state == "succeeded"
    return run


def stages(html: str) -> dict[str, str]:
    """What is said of each box, by its title."""
    said = re.findall(r'id="n-\d+-\d+".*?aria-label="([^:"]+): ([^"]+)"', html, re.S)
    return dict(said)


def begun(html: str) -> list[str]:
    """Titles of the time line's rows, in order."""
    return re.findall(r'class="gantt-name".*?<span>([^<]+)</span>', html, re.S)


def test_a_large_run_is_drawn_as_stages_with_how_far_each_is(
    browser: Browser,  # noqa: F811
    large: Run,
) -> None:
    html = page(browser, f"/dashboard/runs/{large.pk}")
    found = stages(html)
    assert found.keys() == {"Read tile", "Fit tile", "Join all"}
    assert found["Fit tile"].startswith("Done; 150 done of 150 steps")
    assert "301 steps in 3 stages" in html
    assert html.count('class="critical"') >= 2  # both edges
    assert len(re.findall(r'class="node [^"]*\bcritical\b', html)) == 3
    assert len(html) < 200_000


def test_a_stage_says_first_what_needs_somebody(
    browser: Browser,  # noqa: F811
    large: Run,
) -> None:
    StepRun.objects.filter(key="fit3").update(state="failed")
    StepRun.objects.filter(key__in=["fit4", "fit5"]).update(state="queued", ended_at=None)
    found = stages(page(browser, f"/dashboard/runs/{large.pk}/_live"))
    assert found["Fit tile"].startswith("1 failed; 147 done, 2 queued and 1 failed of 150 steps")


def test_the_time_line_of_a_large_run_pages_on_and_says_where_it_is(
    browser: Browser,  # noqa: F811
    large: Run,
) -> None:
    live = f"/dashboard/runs/{large.pk}/_live"
    first = page(browser, live)
    assert "Steps 1 to 150 of the 301 that have begun" in first
    assert "begin=150#timeline" in first and "begin=300#timeline" in first  # later, latest
    second, third = (page(browser, f"{live}?begin={begin}") for begin in (150, 300))
    assert "Steps 151 to 300 of the 301 that have begun" in second
    shown = begun(first) + begun(second) + begun(third)
    assert len(shown) == len(set(shown)) == 301
    assert begun(page(browser, f"{live}?begin=99999")) == begun(third)
    assert begun(page(browser, f"{live}?begin=nonsense")) == begun(first)


def test_a_stage_leads_to_its_steps_and_the_critical_path_stands_alone(
    browser: Browser,  # noqa: F811
    large: Run,
) -> None:
    html = page(browser, f"/dashboard/runs/{large.pk}")
    [key] = re.findall(r'id="n-(\d+-\d+)" href="[^"]*stage=\1#timeline"[^>]*aria-label="Fit', html)
    only = page(browser, f"/dashboard/runs/{large.pk}?stage={key}")
    assert "Only Fit tile: 150 steps have begun." in only
    assert all(title.startswith("Fit tile") for title in begun(only))
    path = begun(page(browser, f"/dashboard/runs/{large.pk}?stage=path"))
    assert len(path) == 3 and path[-1] == "Join all"
    assert len(begun(page(browser, f"/dashboard/runs/{large.pk}?stage=none"))) == 150


def test_items_that_the_time_line_leaves_out_are_counted(
    browser: Browser,  # noqa: F811
    finished: Any,
) -> None:
    many = "${ [" + ", ".join(map(str, range(130))) + "] }"
    run = finished(f'name: many\nsteps:\n  all: {{for_each: "{many}", tool: core.echo}}\n')
    assert "30 more items are not shown here" in page(browser, f"/dashboard/runs/{run.pk}/_live")


def test_light_steps_that_a_worker_went_on_with_are_marked_with_its_name(
    browser: Browser,  # noqa: F811
    finished: Any,
) -> None:
    run = finished(
        "name: chain\nsteps:\n  one: {tool: core.echo}\n"
        "  two: {needs: [one], tool: core.echo}\n"
        "  ask: {needs: [two], wait: {for: 1h}}\n"
    )
    html = page(browser, f"/dashboard/runs/{run.pk}/_live")
    mark = r'<span>(\w+)</span><b class="went-on" title="(\S+) went on with it'
    marked = re.findall(mark, html)
    assert [title for title, _ in marked] == ["Two"]
    assert "gone on with by the same worker" in html
    panel = page(browser, f"/dashboard/runs/{run.pk}/steps/two")
    assert f"gone on with by {marked[0][1]} after the step before" in panel
    assert "gone on with" not in page(browser, f"/dashboard/runs/{run.pk}/steps/one")
    bars = re.findall(r'class="bar is-good[^"]*" style="left:([\d.]+)%;width:([\d.]+)%', html)
    assert len(bars) == 2 and float(bars[1][1]) > 0  # from when it was taken on, not from its end


def test_a_large_workflow_is_drawn_as_stages_on_its_own_page(
    browser: Browser,  # noqa: F811
    large: Run,
) -> None:
    html = page(browser, "/dashboard/workflows/large")
    drawn = re.findall(r'<g class="node".*?</g>', html, re.S)
    said = {tuple(re.findall(r">([^<]+)</t(?:itle|ext)>", node)) for node in drawn}
    assert said == {
        ("Read tile: 150 × tool", "Read tile", "150 steps"),
        ("Fit tile: 150 × tool", "Fit tile", "150 steps"),
        ("Join all: 1 × tool", "Join all", "tool"),
    }
    assert "301 steps in 3 stages" in html
    edges = re.search(r'<g class="edges">(.*?)</g>', html, re.S)
    assert edges is not None and edges[1].count("<path") == 2
