"""The shapes of scientific workflows as they are published, of any size: what each task needs.

The families and sizes are those of WfInstances (github.com/wfcommons/WfInstances); names and
wiring are ours. ``PUBLISHED`` has one of each family, from 22 to 2,103 tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

Needs = dict[str, list[str]]
# Groups of people whose genomes are compared.
_POPULATIONS = 7
_ALIGNING = ("align", "sort", "dedup", "replace", "targets", "realign")
_READING = ("filter", "convert", "pack", "map")


def archive(accessions: int = 10, *, batch: int = 25) -> Needs:
    """A search in a sequence archive (SRASearch): each dump is aligned to one index."""
    needs: Needs = {"index": []}
    needs |= {f"dump{i}": [] for i in range(accessions)}
    aligned = [f"align{i}" for i in range(accessions)]
    needs |= {f"align{i}": ["index", f"dump{i}"] for i in range(accessions)}
    batches = [aligned[i : i + batch] for i in range(0, accessions, batch)]
    needs |= {f"merge{i}": of for i, of in enumerate(batches)}
    return (
        needs if len(batches) == 1 else needs | {"all": [f"merge{i}" for i in range(len(batches))]}
    )


def alignment(pieces: int = 300) -> Needs:
    """Sequences split, searched for in a database and put together twice (BLAST)."""
    needs: Needs = {"split": [], **{f"search{i}": ["split"] for i in range(pieces)}}
    found = [f"search{i}" for i in range(pieces)]
    return needs | {"results": found, "errors": found}


def earthquake(stations: int = 1100) -> Needs:
    """Signals of many stations, each by itself, sifted together (Seismology)."""
    needs: Needs = {f"station{i}": [] for i in range(stations)}
    return needs | {"sift": list(needs)}


def genomes(chromosomes: int = 22, pieces: int = 25) -> Needs:
    """Mutations of seven populations, by chromosome (1000Genome)."""
    needs: Needs = {}
    for c in range(chromosomes):
        parts = [f"people{c}_{i}" for i in range(pieces)]
        needs |= {part: [] for part in parts}
        needs |= {f"merge{c}": parts, f"sift{c}": []}
        for p in range(_POPULATIONS):
            needs |= {f"{kind}{c}_{p}": [f"merge{c}", f"sift{c}"] for kind in ("overlap", "often")}
    return needs


def epigenome(lanes: int = 7, pieces: int = 60) -> Needs:
    """Long pipelines side by side, merged by lane and then together (Epigenomics)."""
    needs: Needs = {}
    for lane in range(lanes):
        needs[f"split{lane}"] = []
        for piece in range(pieces):
            before = f"split{lane}"
            for kind in _READING:
                needs[f"{kind}{lane}_{piece}"] = [before]
                before = f"{kind}{lane}_{piece}"
        needs[f"merge{lane}"] = [f"map{lane}_{piece}" for piece in range(pieces)]
    needs["all"] = [f"merge{lane}" for lane in range(lanes)]
    return needs | {"index": ["all"], "pileup": ["index"]}


def soybean(samples: int = 25, chromosomes: int = 20) -> Needs:
    """Each sample by chromosome, then each chromosome over all samples (SoyKB)."""
    needs: Needs = {}
    for s in range(samples):
        before: list[str] = []
        for kind in _ALIGNING:
            needs[f"{kind}{s}"] = before
            before = [f"{kind}{s}"]
        needs |= {f"call{s}_{c}": before for c in range(chromosomes)}
    for c in range(chromosomes):
        needs[f"types{c}"] = [f"call{s}_{c}" for s in range(samples)]
    needs["combine"] = [f"types{c}" for c in range(chromosomes)]
    for kind in ("snp", "indel"):
        needs |= {f"select_{kind}": ["combine"], f"filter_{kind}": [f"select_{kind}"]}
    return needs | {"merge": [f"call{s}_{c}" for s in range(samples) for c in range(chromosomes)]}


def mosaic(images: int = 420, *, overlaps: int = 3, seed: int = 3) -> Needs:
    """A picture of the sky (Montage): 2,103 tasks for 420 images, in nine levels.

    Each image is projected, compared with those that it overlaps, and corrected by a model of all
    the differences; then all are added up. Fan-ins of 1,257 and 420, a fan-out of 420.
    """
    draw = random.Random(seed)
    numbers = range(images)
    needs: Needs = {f"project{i}": [] for i in numbers}
    pairs = {(i, j) for i in numbers for j in draw.sample(numbers, overlaps) if i != j}
    differences = {f"diff{i}_{j}": [f"project{i}", f"project{j}"] for i, j in sorted(pairs)}
    corrected = {f"background{i}": ["model", f"project{i}"] for i in numbers}
    needs |= differences
    needs |= {"concat": list(differences), "model": ["concat"]}
    needs |= corrected
    return needs | {"table": list(corrected), "add": ["table"], "shrink": ["add"],
                    "picture": ["shrink"]}  # fmt: skip


PUBLISHED: dict[str, Callable[[], Needs]] = {
    "archive": archive, "alignment": alignment, "soybean": soybean, "genomes": genomes,
    "earthquake": earthquake, "epigenome": epigenome, "mosaic": mosaic,
}  # fmt: skip
SMALL: dict[str, Callable[[], Needs]] = {
    "archive": partial(archive, 5, batch=3), "alignment": partial(alignment, 6),
    "soybean": partial(soybean, 3, 4), "genomes": partial(genomes, 2, 4),
    "earthquake": partial(earthquake, 12), "epigenome": partial(epigenome, 2, 3),
    "mosaic": partial(mosaic, 8),
}  # fmt: skip
