"""Metrics, reports and pictures of what a model does to audio."""

from __future__ import annotations

from zoo.evaluation.files import evaluate
from zoo.evaluation.report import Broken, FileReport, Report, Spread

__all__ = ["Broken", "FileReport", "Report", "Spread", "evaluate"]
