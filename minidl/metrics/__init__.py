"""Figures that say how good a model is: as functions of everything, or streaming over batches."""

from minidl.metrics.classification import Accuracy, ConfusionMatrix, accuracy, confusion_matrix
from minidl.metrics.mean import Mean
from minidl.metrics.metric import Metric

__all__ = ["Accuracy", "ConfusionMatrix", "Mean", "Metric", "accuracy", "confusion_matrix"]
