"""The checks of exercise 15: which samples, in what order the calls, which numbers, and does it learn."""

import numpy as np

from minidl.learn.checks import check_array, check_that, check_tuple, check_unchanged

LR = 0.5
D, C = 3, 4  # inputs and classes


# ------------------------------------------------------------------- a model that tells what is done with it


class Log(list):
    """The calls in their order, and the rows that were learnt from."""

    def __init__(self):
        self.rows, self.targets = [], []


class Weight:
    """A parameter as minidl's: its numbers, its gradient, and how to forget that."""

    def __init__(self, log):
        rng = np.random.default_rng(1)
        self.log = log
        self.data = rng.normal(size=(C, D))
        self.grad = rng.normal(size=(C, D))  # an old gradient, as after another batch

    def zero_grad(self):
        self.log.append("zero_grad")
        self.grad = np.zeros_like(self.grad)


class SoftmaxRegression:
    """prediction = x Wᵀ, and the gradient of W, which adds up."""

    def __init__(self, log):
        self.log = log
        self.weight = Weight(log)
        self.stale = self.weight.grad.copy()
        self.training = True

    @property
    def W(self):
        return self.weight.data

    def parameters(self):
        yield self.weight

    def zero_grad(self):
        self.weight.zero_grad()

    def train(self, mode=True):
        self.training = mode
        return self

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        check_that(isinstance(x, np.ndarray), f"model: expected an array, got {type(x).__name__}")
        check_that(x.ndim == 2 and x.shape[1] == D, f"model: expected x of shape (B, {D}), got {x.shape}")
        self.log.append("forward")
        self.log.rows.extend(map(tuple, x))
        self.x = x
        return x @ self.W.T  # (B, C)

    def backward(self, dprediction):
        check_that("loss" in self.log, "model.backward: was called before the loss was computed")
        right = self.expected()
        candidates = {
            "The loss is a mean over the batch already; do not divide again": right / len(right),
            "The loss is a mean over the batch; do not multiply by its size": right * len(right),
        }
        check_array("dprediction", dprediction, right, equation="15.3", candidates=candidates)
        self.log.append("backward")
        self.weight.grad = self.weight.grad + dprediction.T @ self.x
        return dprediction @ self.W


class CrossEntropy:
    """The mean of −log softmax(prediction)[target], and its gradient."""

    def __init__(self, log):
        self.log = log
        self.gradient = None

    def __call__(self, prediction, target):
        return self.forward(prediction, target)

    def forward(self, prediction, target):
        given = f"got {np.shape(prediction)} and {np.shape(target)}"
        right = np.ndim(prediction) == 2 and np.shape(target) == np.shape(prediction)[:1]
        check_that(right, f"criterion: expected the prediction (B, {C}), then the target (B,), {given}")
        self.log.append("loss")
        self.log.targets.extend(int(each) for each in target)
        e = np.exp(prediction - prediction.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        self.gradient = (p - np.eye(C)[target]) / len(target)
        return -np.log(p[np.arange(len(target)), target]).mean()

    def backward(self):
        check_that(
            self.gradient is not None,
            "criterion.backward() came before criterion(prediction, target); there is no loss yet to go back "
            "from",
        )
        self.log.append("loss backward")
        return self.gradient.copy()


class Descent:
    """W ← W − lr · dW."""

    def __init__(self, log, model):
        self.log, self.model = log, model

    def zero_grad(self):
        self.model.zero_grad()

    def step(self):
        self.log.append("step")
        self.model.weight.data = self.model.W - LR * self.model.weight.grad


def make():
    """A model, a criterion and an optimizer that write into one log."""
    log = Log()
    model, criterion = SoftmaxRegression(log), CrossEntropy(log)
    model.expected = lambda: criterion.gradient
    return log, model, criterion, Descent(log, model)


def data(n, seed=0):
    """Three random numbers a sample, no two alike, and a class that depends on them."""
    x = np.random.default_rng(seed).normal(size=(n, D))
    return x, (x[:, 0] > 0) + 2 * (x[:, 1] > 0)


def run(answer, n=10, epochs=1, batch_size=4, seed=0):
    """Train on n samples; the log, the model and the history."""
    log, model, criterion, optimizer = make()
    x, y = data(n)
    rng = np.random.default_rng(seed)
    history = answer.train(model, criterion, optimizer, x, y, epochs=epochs, batch_size=batch_size, rng=rng)
    for name, array, before in zip("xy", (x, y), data(n), strict=True):
        check_unchanged(name, array, before)
    check_that(history is not None, "train: expected a list of losses, got None; is there a `return`?")
    return log, model, check_tuple("train", history, *[f"epoch {each + 1}" for each in range(epochs)])


# ------------------------------------------------------------------- batches


def indices(answer, n, batch_size, seed=0):
    """The reader's batches as lists of integers."""
    got = answer.batches(n, batch_size, np.random.default_rng(seed))
    check_that(got is not None, "batches: expected a list of index arrays, got None; is there a `return`?")
    return [np.asarray(each).tolist() for each in got]


def flat(lists):
    """All the indices of all the batches, in their order."""
    return [index for each in lists for index in each]


def test_batches(answer):
    sizes = [len(each) for each in indices(answer, 10, 4)]
    hint = "; the last, short batch is part of the data, too" if sizes == [4, 4] else ""
    check_that(sizes == [4, 4, 2], f"batches(10, 4): expected batches of 4, 4 and 2, got {sizes}{hint}")
    sizes = [len(each) for each in indices(answer, 3, 8)]
    check_that(sizes == [3], f"batches(3, 8): expected one batch of 3, got {sizes}")
    together = sorted(flat(indices(answer, 30, 7)))
    missing = sorted(set(range(30)) - set(together))
    check_that(
        together == list(range(30)),
        f"batches(30, 7): expected every index from 0 to 29 once; {missing} never came, "
        f"{len(together) - len(set(together))} came again",
    )


def test_shuffled(answer):
    first, again, other = (flat(indices(answer, 30, 7, seed)) for seed in (0, 0, 1))
    check_that(first != sorted(first), "batches: the indices come in their old order; shuffle them with rng")
    check_that(first == again, "batches: the same rng gave two different orders; draw from rng only")
    check_that(first != other, "batches: two different rngs gave the same order; draw from rng")


# ------------------------------------------------------------------- one step


def test_step_order(answer):
    log, model, criterion, optimizer = make()
    answer.train_step(model, criterion, optimizer, *data(5))
    calls = ", ".join(log)
    for name in ("forward", "loss", "loss backward", "backward", "step"):
        count = log.count(name)
        check_that(count == 1, f"train_step: expected one {name}, got {count} (calls: {calls})")
    check_that(
        "zero_grad" in log,
        f"train_step: expected one zero_grad, got 0; the old gradient is still there (calls: {calls})",
    )
    backward, step = log.index("backward"), log.index("step")
    check_that(
        "zero_grad" not in log[backward:step],
        f"train_step: zero_grad came after backward and wiped out the new gradient (calls: {calls})",
    )
    check_that(
        backward < step,
        f"train_step: step came before backward, so it used an old gradient (calls: {calls})",
    )
    check_that(
        "zero_grad" in log[:backward],
        "train_step: zero_grad came after step: gradients that were there before your first step are used, "
        f"too; forget them before backward (calls: {calls})",
    )


def test_step(answer):
    _, model, criterion, optimizer = make()
    W, (x, y) = model.W.copy(), data(5)
    given = x.copy(), y.copy()
    loss = answer.train_step(model, criterion, optimizer, *given)
    check_unchanged("x", given[0], x)
    check_unchanged("y", given[1], y)
    before = criterion(x @ W.T, y)
    dW = criterion.gradient.T @ x
    check_array(
        "W after one step",
        model.W,
        W - LR * dW,
        equation="15.4",
        terms={"−lr · dW": -LR * dW, "−lr · (the old gradient)": -LR * model.stale},
    )
    check_array("the loss that train_step returned", loss, before, equation="15.2")


# ------------------------------------------------------------------- epochs


def test_every_sample_once(answer):
    log, _, _ = run(answer, n=10, epochs=2)
    x, y = data(10)
    rows = list(map(tuple, x))
    for epoch in range(2):
        seen = log.rows[10 * epoch : 10 * epoch + 10]
        missed = len(set(rows) - set(seen))
        check_that(missed == 0, f"train: in epoch {epoch + 1}, {missed} of 10 samples were not learnt from")
    check_that(len(log.rows) == 20, f"train: expected 20 samples in 2 epochs, got {len(log.rows)}")
    target = dict(zip(rows, y, strict=True))
    apart = sum(target[row] != given for row, given in zip(log.rows, log.targets, strict=True))
    check_that(
        apart == 0,
        f"train: {apart} of 20 samples came with another sample's target; use the same index for x and y",
    )


def test_new_order_each_epoch(answer):
    log, _, _ = run(answer, n=10, epochs=2)
    check_that(
        log.rows[:10] != log.rows[10:], "train: both epochs had the same order; make new batches for each"
    )


def losses(answer, n, batch_size):
    """For each of two epochs the mean loss that was reported, the right one, and likely wrong ones."""
    values, sizes = [], []
    _, model, criterion, optimizer = make()
    inner = criterion.forward

    def noting(prediction, target):
        values.append(inner(prediction, target))
        sizes.append(len(target))
        return values[-1]

    criterion.forward = noting
    rng = np.random.default_rng(0)
    epochs = 2
    history = answer.train(
        model, criterion, optimizer, *data(n), epochs=epochs, batch_size=batch_size, rng=rng
    )
    got = check_tuple("train", history, *[f"epoch {each + 1}" for each in range(epochs)])
    count = len(values) // epochs
    return [
        (loss, *judged(values[: start + count], sizes[: start + count], n, start))
        for loss, start in zip(got, (0, count), strict=True)
    ]


def judged(values, sizes, n, start):
    """The right loss of the epoch that begins at batch `start`, and likely wrong ones."""
    together = {}
    if start:
        text = "Epoch 2 contains epoch 1's loss: start total at 0 in each epoch"
        together = {text: np.dot(values, sizes) / n, f"{text} (and divide by N)": np.dot(values, sizes)}
        together[f"{text} (and weigh the short batch)"] = np.sum(values) / (len(values) - start)
    values, sizes = values[start:], sizes[start:]
    candidates = together | {
        "This is the last batch's loss alone: add up with +=, do not overwrite with =": values[-1],
        "This is the sum over the batches: the loss of an epoch is a mean": np.sum(values),
        f"This is the sum over the samples: divide by how many there are, {n}": np.dot(values, sizes),
        "This is the mean over batches: the short last batch counts as much as a full one": np.mean(values),
    }
    return np.dot(values, sizes) / n, candidates


def test_small_data(answer):
    got, expected, _ = losses(answer, n=3, batch_size=8)[0]
    check_array("the loss of an epoch with 3 samples and a batch size of 8", got, expected)


def test_mean_loss(answer):
    for epoch, (got, expected, candidates) in enumerate(losses(answer, n=10, batch_size=4), start=1):
        name = f"the loss of epoch {epoch}, with batches of 4, 4 and 2"
        check_array(name, got, expected, candidates=candidates)


def test_learns(answer):
    _, model, history = run(answer, n=60, epochs=20, batch_size=8)
    first, last = float(history[0]), float(history[-1])
    check_that(
        last < 0.5 * first, f"train: the loss went from {first:.3f} to {last:.3f}, expected less than half"
    )
    _, again, _ = run(answer, n=60, epochs=20, batch_size=8)
    check_that(
        np.array_equal(model.W, again.W),
        "train: the same seed gave other weights; draw nothing from anywhere but rng",
    )
