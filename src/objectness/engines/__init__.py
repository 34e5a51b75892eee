"""What runs a model: pixels in, boxes out. Nothing heavy is imported before a model is opened."""

from objectness.engines.description import (
    FORMAT,
    METADATA_KEY,
    Candidates,
    Engine,
    ModelDescription,
    Ranked,
    Ranker,
)
from objectness.engines.graph import (
    CANDIDATE_OUTPUTS,
    INPUT,
    NMS_INPUT,
    PROPOSAL_OUTPUTS,
    TOP_INPUT,
    GraphEngine,
    GraphRanker,
    float32_at_most,
)
from objectness.engines.opening import open_graph
from objectness.engines.settings import EngineSettings

__all__ = [
    "CANDIDATE_OUTPUTS",
    "FORMAT",
    "INPUT",
    "METADATA_KEY",
    "NMS_INPUT",
    "PROPOSAL_OUTPUTS",
    "TOP_INPUT",
    "Candidates",
    "Engine",
    "EngineSettings",
    "GraphEngine",
    "GraphRanker",
    "ModelDescription",
    "Ranked",
    "Ranker",
    "float32_at_most",
    "open_graph",
]
