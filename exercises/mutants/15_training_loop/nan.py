"""Only full batches are averaged: with fewer samples than a batch, that is a mean of nothing."""

import numpy as np


def batches(n, batch_size, rng):
    order = rng.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


def train_step(model, criterion, optimizer, x, y):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    model.backward(criterion.backward())
    optimizer.step()
    return float(loss)


def train(model, criterion, optimizer, x, y, *, epochs, batch_size, rng):
    history = []
    for _ in range(epochs):
        losses = []
        for index in batches(len(x), batch_size, rng):
            losses.append(train_step(model, criterion, optimizer, x[index], y[index]))
        history.append(np.mean(losses[: len(x) // batch_size]))
    return history
