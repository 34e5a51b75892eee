"""Loading a detector by name: a checkpoint, or the run folder of a training."""

from __future__ import annotations

import os
from pathlib import Path

from objectness.engines.detection import DetectionEngine
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.images import DEFAULT_MAX_PIXELS
from objectness.inference.detector import Detector
from objectness.inference.model_files import CHECKPOINT, DEFAULT, ONNX, model_file
from objectness.installation import require_training


def load_detector(
    model: str | os.PathLike[str],
    *,
    top: int | None = None,
    score: float = 0.0,
    threads: int | None = None,
    device: str = "cpu",
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
) -> Detector:
    """Load a detector.

    Args:
        model: An exported ``.onnx`` file; or a ``.safetensors`` checkpoint or a run folder of the recipes faster-rcnn,
            faster-rcnn-vgg16 or fast-rcnn, which need PyTorch.
        top: Give at most this many detections of a photograph; None for the model's own number (usually 100).
        score: Leave out detections below this score; those below the model's own (usually 0.05) are never made.
        threads: Processor threads for the network; None for every core this process may use.
        device: "cpu", "cuda" or "cuda:1".
        max_pixels: Refuse larger photographs; None for no limit.

    Raises:
        InputError: The model is missing, damaged or no detector, or a number is outside its range; PyTorch is needed
            and not installed.
    """
    if model == DEFAULT:
        raise InputError(
            "The bundled model proposes boxes, and names nothing: train a detector from it (recipe faster-rcnn), and "
            "give its run folder."
        )
    path = model_file(Path(model))
    settings = EngineSettings(device=device, threads=threads)
    engine: DetectionEngine
    if path.suffix.lower() == ONNX:
        from objectness.engines.onnx_detector import OnnxDetector

        engine = OnnxDetector(path, str(path), settings)
    elif path.suffix.lower() == CHECKPOINT:
        require_training("A detector's checkpoint")
        from objectness.inference.torch_detector import open_detector

        engine = open_detector(path, settings)
    else:
        raise InputError(f"{path}: a detector is an .onnx file, a .safetensors checkpoint or a run folder; name one.")
    return Detector(engine, top=top, score=score, max_pixels=max_pixels)
