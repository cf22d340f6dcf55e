"""Compare a run with scikit-learn's LogisticRegression on the same vectors and the same split.

    retrain cache export bottlenecks.npz
    python tools/compare_with_sklearn.py bottlenecks.npz

Prints top-1 on the test split for C = 0.01, 0.1 and 1, each trained on the training split.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

STRENGTHS = (0.01, 0.1, 1.0)


def main() -> None:
    """Read the export, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, help="the .npz that `retrain cache export` wrote")
    arguments = parser.parse_args()
    with np.load(arguments.export) as saved:
        vectors, classes, splits = saved["bottlenecks"], saved["classes"], saved["splits"]
    training, test = splits == "training", splits == "test"
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=2000)
        model.fit(vectors[training], classes[training])
        print(f"C={strength:g}: test top-1 {model.score(vectors[test], classes[test]):.1%}")


if __name__ == "__main__":
    main()
