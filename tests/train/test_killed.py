"""A process that saves after every step, killed with -9 at random moments and started again, loses no bit."""

import os
import subprocess
import sys

import numpy as np

from minidl.train import load_checkpoint

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from minidl import nn, optim
from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.metrics import Accuracy
from minidl.train import Checkpoint, Trainer, load_checkpoint, save_weights

folder = Path(sys.argv[1])
manual_seed(0)
rng = np.random.default_rng(1)
y = rng.integers(0, 4, 60)
x = (rng.normal(size=(60, 1, 12, 12)) + y[:, None, None, None]).astype(np.float32)
model = nn.Sequential(
    nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
    nn.Flatten(), nn.Linear(75, 12), nn.Dropout(0.1, rng=np.random.default_rng(2)), nn.Linear(12, 4),
)
optimizer = optim.Adam(model.parameters(), lr=0.01)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 24)
checkpoint = Checkpoint(folder / "checkpoint.safetensors", seconds=0)
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, [Accuracy()], [checkpoint], scheduler=scheduler)
loader = DataLoader(ArrayDataset(x, y), batch_size=4, shuffle=True)
if checkpoint.path.exists():
    trainer.load_state_dict(load_checkpoint(checkpoint.path))
print("ready", flush=True)
trainer.fit(loader, loader, epochs=24)
save_weights(model, folder / "weights.safetensors")
"""


def start(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, folder],
        stdout=subprocess.PIPE,
        env=os.environ | {"MINIDL_BACKEND": "numpy"},
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def test_killed_at_any_step_it_ends_with_the_same_bits(tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    process = start(straight)
    assert process.wait(60) == 0
    process.stdout.close()

    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    stopped_at = []
    for _ in range(100):
        process = start(killed)
        try:
            process.wait(float(rng.uniform(0, 0.25)))
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            process.stdout.close()
        if (killed / "weights.safetensors").exists():
            break
        if (killed / "checkpoint.safetensors").exists():
            stopped_at.append(load_checkpoint(killed / "checkpoint.safetensors")["global_step"])
    assert len(set(stopped_at)) > 1, "it was never killed on the way"
    assert stopped_at == sorted(stopped_at)

    one, other = (folder / "weights.safetensors" for folder in (straight, killed))
    assert one.read_bytes() == other.read_bytes()
    ends = [load_checkpoint(folder / "checkpoint.safetensors") for folder in (straight, killed)]
    for column in ("epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        one, other = ([record[column] for record in end["history"]] for end in ends)
        assert one == other
