"""Exercise 15: the training loop, from shuffled batches to a model that learns.

Fill in the three functions from top to bottom and run `minidl check 15` after each.

The objects that you are given speak as minidl's own do:

    prediction = model(x)                     forward
    loss = criterion(prediction, target)      how wrong it is: one number, the mean over the batch
    dprediction = criterion.backward()        the gradient of that loss
    model.backward(dprediction)               adds to every parameter's gradient
    optimizer.step()                          w ← w − lr · dw for every parameter w
    optimizer.zero_grad()                     forgets every gradient
"""

import numpy as np


def batches(n, batch_size, rng):
    """All indices 0 … n − 1 in a new random order, cut into batches.

    Args:
        n: how many samples there are.
        batch_size: how many go into a batch; the last batch has what is left over.
        rng: a np.random.Generator; the same generator state gives the same order.

    Returns:
        A list of index arrays. Each index is in exactly one of them.
    """
    # Your turn: one random order of all indices, cut into pieces; the last piece may be short
    raise NotImplementedError("batches() is not written yet")


def train_step(model, criterion, optimizer, x, y):
    """Learn from one batch: forward, loss, backward, step (eq. 15.2, eq. 15.3, eq. 15.4).

    Args:
        model, criterion, optimizer: as above. The parameters may still hold old gradients.
        x: (B, D), the batch's inputs.
        y: (B,), its targets.

    Returns:
        The batch's loss before the step, a Python float. x and y stay as they are.
    """
    # Your turn: five calls in the right order, and do not forget the old gradients
    raise NotImplementedError("train_step() is not written yet")


def train(model, criterion, optimizer, x, y, *, epochs, batch_size, rng):
    """Go through all the data `epochs` times, in a new order each time.

    Args:
        model, criterion, optimizer: as above.
        x: (N, D), all inputs.
        y: (N,), their targets.
        epochs: how many times to go through.
        batch_size, rng: as for batches.

    Returns:
        A list with one float for each epoch: the mean loss over its N samples. A short last batch counts
        for less, in proportion to its samples. x and y stay as they are.
    """
    # Your turn: for every epoch: new batches, a step on each, and the mean loss of a sample
    raise NotImplementedError("train() is not written yet")
