"""How tests ask a recommender."""

from datetime import datetime

import numpy as np

from training import columns
from training.recommend_request import HISTORY

AS_OF = datetime(2024, 3, 1)


def ask(model, products=(), weights=(), k=10, *, views=None, **options):
    """One customer's list."""
    views = np.zeros(len(products)) if views is None else np.array(views)
    history = (np.array(products, dtype=np.int64), np.array(weights, dtype=np.float64), views, np.zeros(len(products)))
    inputs = {name: columns.object_array([part]) for name, part in zip(HISTORY, history, strict=True)}
    asked = {"k": np.array([k])}
    for name, value in options.items():
        asked[name] = columns.object_array([value]) if isinstance(value, list | str) else np.array([value])
    return {name: column[0] for name, column in model.predict(inputs, asked).items()}
