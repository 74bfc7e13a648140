"""Builds ``classifier.npz``: ``python -m agents.domain.guardrails.training.build``.

Reproducible: fixed seed, own templates only, no downloads. scikit-learn is used here only.
"""

from __future__ import annotations

import random
import re
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from agents.domain.guardrails import classifier, normalise
from agents.domain.guardrails.training.corpus import expand, read_families

SEED = 20_240_611
# Texts per template: with slots many, without only its spellings.
WITH_SLOTS, PLAIN = 60, 12
# Short attacks in everyday forms are a counterweight; as many as of others would drown those.
FEWER = {"everyday_asks": 5}
TECHNICAL = 6000
# The mean of several draws: what one draw happens to leave out shows in texts near the limit.
DRAWS = 3
REGULARISATION = 8.0
_HERE = Path(__file__).parent


def texts_of(path: Path, rng: random.Random, skip: str = "") -> list[tuple[str, str]]:
    """(family, text) pairs drawn from all families of a corpus file but ``skip``."""
    families, slots = read_families(path)
    drawn = []
    for family, templates in families.items():
        if family == skip:
            continue
        for template in templates:
            count = min(WITH_SLOTS if "{" in template else PLAIN, FEWER.get(family, WITH_SLOTS))
            texts = {expand(template, slots, rng) for _ in range(count)}
            drawn += [(family, text) for text in sorted(texts)]
    return drawn


def technical_prose(rng: random.Random) -> list[str]:
    """Docstring paragraphs of the standard library: long, imperative, full of trigger words.

    They are read from the running Python and never stored, so the weights depend a little on its
    version.
    """
    found: set[str] = set()
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted((*library.glob("*.py"), *library.glob("[a-z]*/*.py"))):
        if "test" in path.parts or "site-packages" in path.parts:
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        for block in re.findall(r'"""(.{60,3000}?)"""', source, re.DOTALL):
            found.update(p.strip() for p in block.split("\n\n") if 50 <= len(p.strip()) <= 900)
        found.update(m for m in re.findall(r"(?:^ *# .{30,}\n){2,8}", source, re.MULTILINE))
    return rng.sample(sorted(found), min(TECHNICAL, len(found)))


def build_set(rng: random.Random, skip: str = "") -> tuple[list[str], list[int]]:
    """Training texts and labels (1 for an attack), respelled and embedded at random."""
    attacks = texts_of(_HERE / "attacks.txt", rng, skip)
    benign = [text for _, text in texts_of(_HERE / "benign.txt", rng)]
    texts, labels = [], []
    for _, text in attacks:
        texts.append(_respelled(_embedded(text, benign, rng), rng))
        labels.append(1)
    for text in benign:
        texts.append(_respelled(text, rng))
        labels.append(0)
    technical = technical_prose(rng)
    longer = [" ".join(rng.sample(benign, rng.randint(2, 9))) for _ in range(len(benign) // 2)]
    longer += [" ".join(rng.sample(technical, rng.randint(2, 3))) for _ in range(TECHNICAL // 4)]
    texts += [_respelled(text, rng) for text in longer] + technical
    labels += [0] * (len(longer) + len(technical))
    return texts, labels


def _embedded(text: str, benign: list[str], rng: random.Random) -> str:
    if rng.random() < 0.75:
        return text
    return " ".join(
        (*rng.sample(benign, rng.randint(0, 2)), text, *rng.sample(benign, rng.randint(0, 1)))
    )


def _respelled(text: str, rng: random.Random) -> str:
    changes: list[Callable[[str], str]] = [
        lambda t: t,
        lambda t: t,
        lambda t: t.rstrip(".!?"),
        lambda t: t + rng.choice([".", "!", " please", "?", " thanks"]),
        lambda t: t.replace(",", ""),
        lambda t: rng.choice(["Hi, ", "Hello! ", "please ", "ok ", "so ", "\n"]) + t,
    ]
    return rng.choice(changes)(text)


def fit(texts: list[str], labels: list[int]) -> tuple[np.ndarray, float]:
    """Weights per bucket and the bias of a logistic regression on length-scaled features."""
    rows = [classifier.buckets(normalise.plain(text)) for text in texts]
    data = np.concatenate([np.full(len(r), 1 / np.sqrt(len(r))) for r in rows])
    starts = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    matrix = csr_matrix((data, np.concatenate(rows), starts), shape=(len(rows), classifier.BUCKETS))
    model = LogisticRegression(C=REGULARISATION, max_iter=300, class_weight="balanced")
    model.fit(matrix, labels)
    return model.coef_[0], float(model.intercept_[0])


def main() -> None:
    """Fit on everything and write the weights beside the classifier."""
    sets = [build_set(random.Random(SEED + draw)) for draw in range(DRAWS)]
    fits = [fit(texts, labels) for texts, labels in sets]
    weights, bias = np.mean([w for w, _ in fits], axis=0), float(np.mean([b for _, b in fits]))
    scale = float(np.abs(weights).max()) / 127
    np.savez_compressed(
        Path(classifier.__file__).with_name("classifier.npz"),
        weights=np.round(weights / scale).astype(np.int8),
        scale=np.float32(scale),
        bias=np.float32(bias),
    )
    for texts, labels in sets:
        sys.stdout.write(f"{len(texts)} texts, {sum(labels)} attacks\n")
    sys.stdout.write(f"bias {bias:.3f}\n")


if __name__ == "__main__":
    main()
