"""Wrong update rules, wrong schedules and careless bookkeeping, planted one at a time: each is caught."""

import numpy as np
import pytest
from optim.by_hand import RATES, STEPS, check_rates, check_steps
from optim.samples import SCHEDULERS, make_scheduler

from minidl import kernels
from minidl.kernels.registry import use_backend
from minidl.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)
from minidl.optim import optimizer as optimizer_module
from minidl.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    combined,
)
from minidl.testing.optim import check_optimizer, check_scheduler
from minidl.testing.planted import Bug, planted

BUGS = [
    # the rules
    Bug("SGD walks uphill", kernels, "sgd_step", "theta -= lr * d", "theta += lr * d"),
    Bug("SGD: decay of the wrong sign", kernels, "sgd_step", "g + weight_decay *", "g - weight_decay *"),
    Bug(
        "SGD: decay scaled by lr twice",
        kernels,
        "sgd_step",
        "weight_decay * theta",
        "lr * weight_decay * theta",
    ),
    Bug("SGD: first step damped", SGD, "update", "tau = 0.0", "pass"),
    Bug("SGD: dampening forgotten", kernels, "sgd_step", "(1 - dampening) * g", "g"),
    Bug("SGD: momentum as a mean", kernels, "sgd_step", "(1 - dampening) * g", "(1 - momentum) * g"),
    Bug("SGD: momentum forgets nothing", kernels, "sgd_step", "b *= momentum", "b *= 1"),
    Bug("Nesterov without the gradient", kernels, "sgd_step", "d = g + momentum * b", "d = momentum * b"),
    Bug("Nesterov without momentum's factor", kernels, "sgd_step", "g + momentum * b", "g + b"),
    Bug("Nesterov ignored", kernels, "sgd_step", "g + momentum * b if nesterov else b", "b"),
    Bug("SGD: momentum not kept", SGD, "update", 'self.buffer(state, "', 'self.buffer({}, "'),
    Bug(
        "state starts at the values",
        Optimizer,
        "buffer",
        'np.zeros_like(theta, order="C")',
        "theta.copy()",
    ),
    Bug("state is the values", Optimizer, "buffer", 'np.zeros_like(theta, order="C")', "theta"),
    Bug("SGD: values not changed in place", kernels, "sgd_step", "theta -= lr * d", "theta = theta - lr * d"),
    Bug("Adam: no correction of the mean", kernels, "adam_step", "lr / correction1", "lr"),
    Bug("Adam: no correction of the square", kernels, "adam_step", " / math.sqrt(correction2)", ""),
    Bug(
        "Adam: corrections swapped",
        kernels,
        "adam_step",
        "1 - beta1**t, 1 - beta2**t",
        "1 - beta2**t, 1 - beta1**t",
    ),
    Bug("Adam: correction one step late", kernels, "adam_step", "beta1**t,", "beta1**(t + 1),"),
    Bug(
        "Adam: eps inside the root",
        kernels,
        "adam_step",
        "(np.sqrt(v) / math.sqrt(correction2) + eps)",
        "np.sqrt(v / correction2 + eps)",
    ),
    Bug(
        "Adam: eps before the correction",
        kernels,
        "adam_step",
        "(np.sqrt(v) / math.sqrt(correction2) + eps)",
        "((np.sqrt(v) + eps) / math.sqrt(correction2))",
    ),
    Bug("Adam: no eps", kernels, "adam_step", " + eps)", ")"),
    Bug("Adam: no root", kernels, "adam_step", "np.sqrt(v) / math.sqrt(correction2)", "v / correction2"),
    Bug("Adam: square not squared", kernels, "adam_step", "(g * g)", "abs(g)"),
    Bug("Adam: betas swapped", Adam, "update", "beta1, beta2 =", "beta2, beta1 ="),
    Bug("Adam: mean grows", kernels, "adam_step", "(g - m)", "g"),
    Bug("Adam: square never forgets", kernels, "adam_step", "v *= beta2", "v *= 1"),
    Bug("Adam: gradient in place of its mean", kernels, "adam_step", "(lr / correction1) * m", "lr * g"),
    Bug("Adam: steps not counted", Adam, "update", 't = state["step"] = state.get("step", 0) + 1', "t = 1"),
    Bug("AMSGrad ignored", Adam, "update", 'if group["amsgrad"]', "if False"),
    Bug("AMSGrad: smallest for largest", kernels, "adam_step", "np.maximum(largest", "np.minimum(largest"),
    Bug("AMSGrad: largest forgotten", kernels, "adam_step", ", out=largest", ""),
    Bug("Adam: decay decoupled", kernels, "adam_step", "if decoupled:", "if True:"),
    Bug("AdamW: decay coupled", kernels, "adam_step", "if decoupled:", "if False:"),
    Bug("AdamW: decay without lr", kernels, "adam_step", "lr * weight_decay", "weight_decay"),
    Bug("AdamW: decay left out", kernels, "adam_step", "theta *= 1 - lr * weight_decay", "pass"),
    Bug(
        "Adamax: eps outside the maximum",
        Adamax,
        "update",
        "np.maximum(beta2 * u, np.abs(g) + eps, out=u)",
        "np.maximum(beta2 * u, np.abs(g), out=u)",
    ),
    Bug("Adamax: sum for maximum", Adamax, "update", "np.maximum(beta2", "np.add(beta2"),
    Bug("Adamax: signed gradient", Adamax, "update", "np.abs(g)", "g"),
    Bug("Adamax: no correction", Adamax, "update", "lr / (1 - beta1**t)", "lr"),
    Bug("Adamax: largest forgotten", Adamax, "update", ", out=u", ""),
    Bug("Adamax: decay left out", Adamax, "update", "g = g + lam * theta", "pass"),
    Bug(
        "NAdam: no look ahead",
        NAdam,
        "update",
        "(mu_next / (1 - product * mu_next)) * m",
        "(mu / (1 - product)) * m",
    ),
    Bug("NAdam: gradient left out", NAdam, "update", " + ((1 - mu) / (1 - product)) * g", ""),
    Bug("NAdam: momentum does not warm up", NAdam, "update", "0.96 ** (step * psi)", "0.96"),
    Bug("NAdam: product forgotten", NAdam, "update", 'state.get("mu_product", 1.0) * mu', "mu"),
    Bug("NAdam: decay always decoupled", NAdam, "update", 'if group["decoupled_weight_decay"]', "if True"),
    Bug("NAdam: decay never decoupled", NAdam, "update", 'if group["decoupled_weight_decay"]', "if False"),
    Bug("NAdam: no correction of the square", NAdam, "update", " / math.sqrt(1 - beta2**t)", ""),
    Bug("RAdam: trusts at once", RAdam, "update", "if rho > 5:", "if rho > 1:"),
    Bug("RAdam: trusts never", RAdam, "update", "if rho > 5:", "if False:"),
    Bug("RAdam: not rectified", RAdam, "update", "rate * r * math", "rate * math"),
    Bug("RAdam: no correction of the square", RAdam, "update", " * math.sqrt(correction)", ""),
    Bug("RAdam: rho without t", RAdam, "update", "2 * t * beta2**t", "2 * beta2**t"),
    Bug("RAdam: momentum not corrected", RAdam, "update", "theta -= rate * m", "theta -= lr * m"),
    Bug("RAdam: decay never decoupled", RAdam, "update", 'if group["decoupled_weight_decay"]', "if False"),
    Bug("Adagrad: the last square only", Adagrad, "update", "s += g * g", "s[...] = g * g"),
    Bug("Adagrad: no root", Adagrad, "update", "np.sqrt(s)", "s"),
    Bug("Adagrad: eps inside the root", Adagrad, "update", "np.sqrt(s) + eps", "np.sqrt(s + eps)"),
    Bug("Adagrad: rate decays one step early", Adagrad, "_begin", "(t - 1) * float", "t * float"),
    Bug("Adagrad: initial value at every step", Adagrad, "_begin", "if is_new:", "if True:"),
    Bug("Adagrad: initial value forgotten", Adagrad, "_begin", "if is_new:", "if False:"),
    Bug(
        "Adadelta: means swapped",
        Adadelta,
        "update",
        "np.sqrt(u + eps) / np.sqrt(v + eps)",
        "np.sqrt(v + eps) / np.sqrt(u + eps)",
    ),
    Bug("Adadelta: eps outside the root", Adadelta, "update", "np.sqrt(v + eps)", "(np.sqrt(v) + eps)"),
    Bug("Adadelta: gradient for step", Adadelta, "update", "(delta * delta)", "(g * g)"),
    Bug("Adadelta: no rate", Adadelta, "update", "lr * delta", "delta"),
    Bug("Adadelta: square never forgets", Adadelta, "update", "v *= rho", "pass"),
    Bug(
        "RMSprop: eps inside the root",
        RMSprop,
        "update",
        "np.sqrt(variance) + eps",
        "np.sqrt(variance + eps)",
    ),
    Bug("RMSprop: centered ignored", RMSprop, "update", 'if group["centered"]', "if False"),
    Bug("RMSprop: mean not squared", RMSprop, "update", "v - a * a", "v - a"),
    Bug("RMSprop: momentum forgets nothing", RMSprop, "update", "b *= mu", "pass"),
    Bug("RMSprop: momentum ignored", RMSprop, "update", "if mu > 0", "if False"),
    Bug("RMSprop: alpha the wrong way", RMSprop, "update", "v *= alpha", "v *= 1 - alpha"),
    Bug("Rprop: never grows", Rprop, "update", "np.where(s > 0, grow", "np.where(s > 0, 1.0"),
    Bug("Rprop: never shrinks", Rprop, "update", "np.where(s < 0, shrink", "np.where(s < 0, 1.0"),
    Bug("Rprop: does not wait", Rprop, "update", "np.where(s < 0, 0.0, g)", "g"),
    Bug("Rprop: counts the gradient's size", Rprop, "update", "np.sign(prev)", "prev"),
    Bug("Rprop: no upper bound", Rprop, "update", "largest, out", 'float("inf"), out'),
    Bug("Rprop: no lower bound", Rprop, "update", "np.maximum(delta, smallest)", "np.maximum(delta, 0)"),
    Bug("Rprop: starts at the rate at every step", Rprop, "update", "if is_new:", "if True:"),
    Bug("ASGD: rate does not fall", ASGD, "update", "lr / (1 + decay * lr * t) ** alpha", "lr"),
    Bug("ASGD: alpha forgotten", ASGD, "update", " ** alpha", ""),
    Bug("ASGD: no shrinking", ASGD, "update", "theta *= 1 - decay * eta", "pass"),
    Bug(
        "ASGD: shrinks after the step",
        ASGD,
        "update",
        "theta -= eta * g",
        "theta -= (1 - decay * eta) * eta * g",
    ),
    # the bookkeeping
    Bug("maximize ignored", Optimizer, "step", 'if group.get("maximize"):', "if False:"),
    Bug("gradient negated in place", Optimizer, "step", "g = -g", "g *= -1"),
    Bug("frozen parameters moved", Optimizer, "_due", "or not parameter.requires_grad", ""),
    Bug("gradients that broadcast", Optimizer, "_due", "g.shape != theta.shape", "False"),
    Bug(
        "last parameter left out",
        Optimizer,
        "step",
        "in self._due():",
        "in self._due()[:-1]:",
    ),
    Bug(
        "state shared by all",
        Optimizer,
        "step",
        "setdefault(parameter, {})",
        "setdefault(self._due()[0][0], {})",
    ),
    Bug("gradients kept", Optimizer, "zero_grad", "parameter.zero_grad(set_to_none)", "pass"),
    Bug("state dict aliases arrays", optimizer_module, "_copy", "value.copy()", "value"),
    Bug("load aliases arrays", Optimizer, "_read_value", "values.copy()", "values"),
    Bug("load does not check shapes", Optimizer, "_read_value", "values.shape != like.shape", "False"),
    Bug("load does not check numbers", Optimizer, "_read_value", 'values.dtype.kind not in "fiu"', "False"),
    Bug("load does not check options", Optimizer, "_read_groups", "self.check_options(options)", "pass"),
    Bug(
        "load half done",
        Optimizer,
        "load_state_dict",
        "if problems:",
        "self.param_groups = groups\n        if problems:",
    ),
    Bug("load forgets the state", Optimizer, "load_state_dict", "self.state = state", "pass"),
    Bug("load forgets the options", Optimizer, "load_state_dict", "self.param_groups = groups", "pass"),
    Bug(
        "indices per group",
        Optimizer,
        "state_dict",
        "[index[parameter] for parameter in",
        "[i for i, _ in enumerate(group['params'])] or [0 for _ in",
    ),
    Bug("duplicates accepted", Optimizer, "add_param_group", "if id(parameter) in places:", "if False:"),
    Bug(
        "anything is a parameter",
        Optimizer,
        "add_param_group",
        "not isinstance(parameter, Parameter)",
        "False",
    ),
    Bug(
        "group options ignored",
        Optimizer,
        "add_param_group",
        "{**self.defaults, **param_group,",
        "{**param_group, **self.defaults,",
    ),
    Bug("group options unchecked", Optimizer, "add_param_group", "self.check_options(group)", "pass"),
    Bug("typing errors accepted", Optimizer, "add_param_group", "if name not in known", "if False"),
    Bug(
        "NaN accepted",
        optimizer_module,
        "check_number",
        "not (math.isfinite(value) and at_least <= value < below and value <= at_most)",
        "value < at_least or value >= below",
    ),
    # the schedules
    Bug(
        "StepLR: one epoch early", StepLR, "get_lr", "self.last_epoch % self", "(self.last_epoch + 1) % self"
    ),
    Bug("StepLR: every epoch", StepLR, "get_lr", "self.last_epoch % self.step_size == 0", "True"),
    Bug(
        "cosine: twice as fast",
        CosineAnnealingLR,
        "get_lr",
        "math.pi * epoch / self",
        "2 * math.pi * epoch / self",
    ),
    Bug("cosine: eta_min forgotten", CosineAnnealingLR, "get_lr", "(lr - low) + low", "lr"),
    Bug("cosine: stuck at the bottom", CosineAnnealingLR, "get_lr", "(base - low) * rise", "0"),
    Bug("cosine: lift of the wrong size", CosineAnnealingLR, "get_lr", "(1 - math.cos(", "(1 + math.cos("),
    Bug(
        "schedule: first group only",
        LRScheduler,
        "_set",
        "self.optimizer.param_groups, rates, strict=True",
        "self.optimizer.param_groups[:1], rates, strict=False",
    ),
    Bug("schedule: last rates aliased", LRScheduler, "get_last_lr", "list(self._last_lr)", "self._last_lr"),
    Bug("schedule: load checks nothing", LRScheduler, "_load_own", "if problems:", "if False:"),
    Bug("schedule: starts over", LRScheduler, "_load_own", "vars(self).update(", "len("),
    Bug(
        "schedule: base from the current rate",
        LRScheduler,
        "__init__",
        '[group["initial_lr"] for',
        '[group["lr"] / 2 for',
    ),
    Bug("lambda: from the current rate", LambdaLR, "get_lr", "zip(self.base_lrs,", "zip(self.current_lr(),"),
    Bug(
        "multiplicative: from the first rate",
        MultiplicativeLR,
        "get_lr",
        "zip(self.current_lr(),",
        "zip(self.base_lrs,",
    ),
    Bug(
        "milestones: a double counts once",
        MultiStepLR,
        "get_lr",
        "self.milestones.count(self.last_epoch)",
        "(self.last_epoch in self.milestones)",
    ),
    Bug("milestones: 0 does not count", MultiStepLR, "first_lr", "self.get_lr()", "self.current_lr()"),
    Bug("exponential: twice", ExponentialLR, "get_lr", "self.gamma *", "self.gamma * self.gamma *"),
    Bug("constant: never ends", ConstantLR, "get_lr", "1 / self.factor", "1"),
    Bug("constant: one epoch late", ConstantLR, "get_lr", "self.total_iters:", "self.total_iters + 1:"),
    Bug("linear: goes on beyond the end", LinearLR, "get_lr", "elif t <= total", "elif t <= total + 1"),
    Bug("linear: one epoch off", LinearLR, "get_lr", "(t - 1) * rise", "t * rise"),
    Bug("polynomial: no power", PolynomialLR, "get_lr", " ** self.power", ""),
    Bug(
        "warm restarts: no longer stretches",
        CosineAnnealingWarmRestarts,
        "step",
        "self.T_i *= self.T_mult",
        "pass",
    ),
    Bug(
        "warm restarts: one epoch late",
        CosineAnnealingWarmRestarts,
        "step",
        "self.T_cur >= self.T_i",
        "self.T_cur > self.T_i",
    ),
    Bug("warm restarts: eta_min forgotten", CosineAnnealingWarmRestarts, "get_lr", "self.eta_min + (", "("),
    Bug("cycle: not halved", CyclicLR, "_scale", "0.5 ** (cycle - 1)", "1.0"),
    Bug("cycle: as slow down as up", CyclicLR, "get_lr", "(t - up) / down", "(t - up) / up"),
    Bug("cycle: gamma per cycle", CyclicLR, "_scale", "self.gamma**self.last_epoch", "self.gamma**cycle"),
    Bug(
        "one cycle: two phases for three",
        OneCycleLR,
        "get_lr",
        "down = 2 * top if self.three_phase else last",
        "down = last",
    ),
    Bug("one cycle: line for cosine", OneCycleLR, "_between", 'self.anneal_strategy == "cos"', "False"),
    Bug(
        "plateau: one epoch early",
        ReduceLROnPlateau,
        "step",
        "self.num_bad_epochs > self.patience",
        "self.num_bad_epochs >= self.patience",
    ),
    Bug(
        "plateau: equal is better",
        ReduceLROnPlateau,
        "is_better",
        "metric < self.best - margin",
        "metric <= self.best",
    ),
    Bug("plateau: no cooldown", ReduceLROnPlateau, "step", "self.cooldown_counter = self.cooldown", "pass"),
    Bug(
        "plateau: no lowest rate",
        ReduceLROnPlateau,
        "get_lr",
        "max(lr * self.factor, low)",
        "low * 0 + lr * self.factor",
    ),
    Bug(
        "plateau: counts on after a reduction",
        ReduceLROnPlateau,
        "step",
        "self.cooldown\n            self.num_bad_epochs = 0",
        "self.cooldown",
    ),
    Bug("sequence: all start at once", SequentialLR, "first_lr", 'group["lr"] = group["initial_lr"]', "pass"),
    Bug("sequence: one epoch late", SequentialLR, "get_lr", "self.schedulers[number].restart()", "pass"),
    Bug(
        "combined: states not loaded",
        combined._Combined,
        "load_state_dict",
        "scheduler.load_state_dict(state)\n            self._load_own",
        "pass\n            self._load_own",
    ),
]


def prove():
    """The whole of what this folder claims, without PyTorch, cheapest first."""
    for row in STEPS:
        check_steps(*row)
    for row in RATES:
        check_rates(*row)
    for cls, rows in SCHEDULERS.items():
        for options, curve in rows:
            check_scheduler(make_scheduler(cls, options), closed_form=curve)
    check_optimizer(lambda params: SGD(params, lr=1e-3, momentum=0.9, maximize=True))
    check_optimizer(lambda params: AdamW(params, lr=0.03, weight_decay=0), rosenbrock_below=1e-9)


def test_the_honest_code_passes():
    prove()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_caught(bug):
    # most bugs give wrong numbers, a few crash in what the checks try
    wrong = pytest.raises((AssertionError, KeyError, ValueError))
    with planted(bug), use_backend("numpy"), np.errstate(all="ignore"), wrong:
        prove()
