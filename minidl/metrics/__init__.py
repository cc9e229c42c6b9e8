"""Figures that say how good a model is: as functions of everything, or streaming over batches."""

from minidl.metrics.classification import Accuracy, ConfusionMatrix, accuracy, confusion_matrix
from minidl.metrics.mean import Mean
from minidl.metrics.metric import Metric
from minidl.metrics.precision_recall import F1Score, Precision, Recall, f1_score, precision, recall
from minidl.metrics.ranking import AUROC, ROC, RocCurve, auc, auroc, roc
from minidl.metrics.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)
from minidl.metrics.report import ClassificationReport, classification_report, report_text
from minidl.metrics.top_k import TopKAccuracy, top_k_accuracy

__all__ = [
    "AUROC",
    "ROC",
    "Accuracy",
    "ClassificationReport",
    "ConfusionMatrix",
    "F1Score",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "R2Score",
    "Recall",
    "RocCurve",
    "TopKAccuracy",
    "accuracy",
    "auc",
    "auroc",
    "classification_report",
    "confusion_matrix",
    "f1_score",
    "mean_absolute_error",
    "mean_squared_error",
    "precision",
    "r2_score",
    "recall",
    "report_text",
    "roc",
    "top_k_accuracy",
]
