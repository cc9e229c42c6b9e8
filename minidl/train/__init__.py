"""The training room: the loop, what it measures, and how a run is stopped, saved and resumed."""

from minidl.train.averaging import Averaging
from minidl.train.callbacks import Callback, Checkpoint, LambdaCallback, LearningRateMonitor
from minidl.train.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from minidl.train.early_stopping import EarlyStopping, SaveBest
from minidl.train.history import History
from minidl.train.recorder import Recorder
from minidl.train.recording import Recording
from minidl.train.trainer import Trainer

__all__ = [
    "Averaging",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateMonitor",
    "Recorder",
    "Recording",
    "SaveBest",
    "Trainer",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
    "save_weights",
]
