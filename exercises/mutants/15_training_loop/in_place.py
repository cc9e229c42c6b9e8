"""x and y are shuffled in place."""

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
        p = rng.permutation(len(x))
        x[:] = x[p]
        y[:] = y[p]
        total = 0.0
        for index in batches(len(x), batch_size, rng):
            total += train_step(model, criterion, optimizer, x[index], y[index]) * len(index)
        history.append(total / len(x))
    return history
