"""A service as people write it by hand, for `benchmarks.serve`: FastAPI and `model.predict`.

    pip install fastapi
    python -m benchmarks.handwritten_service MODEL.keras PORT

MODEL.keras is the same network and head as of the run: `retrain export --format keras`. FastAPI
runs the function in threads, for it does not `await`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image


def make_application(path: str) -> Any:
    """The application, which loads the model at once."""
    import keras
    from fastapi import FastAPI, UploadFile

    app = FastAPI()
    model = keras.saving.load_model(path)
    height, width = model.input_shape[1:3]

    def label(file: UploadFile) -> dict[str, float]:
        photo = Image.open(file.file).convert("RGB").resize((width, height))
        scores = model.predict(np.asarray(photo)[np.newaxis], verbose=0)[0]
        best = int(scores.argmax())
        return {"class": best, "score": float(scores[best])}

    label.__annotations__["file"] = UploadFile  # a text until now, of a name that is only here
    app.post("/label")(label)
    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(make_application(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
