"""Engines: one file for each runtime, all behind ``ProposalEngine``. A runtime is imported when a model is opened."""

from objectness.engines.candidates import Candidates
from objectness.engines.description import FORMAT, METADATA_KEY, ModelDescription
from objectness.engines.graph import (
    CANDIDATE_OUTPUTS,
    INPUT,
    NMS_INPUT,
    PROPOSAL_OUTPUTS,
    TOP_INPUT,
    GraphEngine,
    float32_at_most,
)
from objectness.engines.protocol import ProposalEngine, RankedBoxes
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
    "EngineSettings",
    "GraphEngine",
    "ModelDescription",
    "ProposalEngine",
    "RankedBoxes",
    "float32_at_most",
]
