"""The house's rules: which way imports point, what is public, what start-up costs, what every file has."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minidl

PACKAGE = Path(minidl.__file__).parent
ROOT = PACKAGE.parent

# What each room may import from. A room not named here fails.
MAY_IMPORT = {
    "errors": set(),
    "array": {"errors"},
    "kernels": {"array", "errors"},
    "nn": {"array", "kernels", "errors"},
    "optim": {"array", "errors", "kernels", "nn"},
    "data": {"array", "errors"},
    "metrics": {"errors"},
    "models": {"array", "errors", "nn"},
    "train": {"array", "data", "errors", "metrics", "nn", "optim"},
    "testing": {"array", "errors", "kernels", "nn", "optim"},
    "learn": {"array", "errors", "testing"},
    "bench": {"array", "errors", "kernels", "models", "nn", "optim"},
    "cli": {
        "array",
        "bench",
        "data",
        "errors",
        "kernels",
        "learn",
        "metrics",
        "models",
        "nn",
        "optim",
        "train",
    },
}


def python_files():
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path):
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_dependencies_point_one_way(path):
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("minidl.")} - {here}
    # `from minidl import x` brings a room in, or the package itself for its version and few top names
    rooms -= {"manual_seed", "use_backend", "get_backend", "__version__"}
    upward = rooms - MAY_IMPORT[here]
    assert not upward, f"{here} imports {', '.join(sorted(upward))}"


# The only files, and the only folder, that may import a library which takes long to load or need not be
# installed. That `import minidl` loads none of them is a test below.
OPTIONAL = {
    "cuda": {"array/cuda.py"},
    "numba": {"array/cuda_compiler.py", "kernels/numba_cpu/", "testing/component_agreement.py"},
    "llvmlite": {"kernels/numba_cpu/"},
    "threadpoolctl": {"cli/run.py", "kernels/threads.py"},
    "matplotlib": {"bench/plots.py", "train/plots.py"},
    "rich": {"cli/bench.py", "cli/display.py", "cli/learn.py", "cli/models.py"},
    "PIL": {"data/digit.py"},
    "safetensors": {"train/checkpoint.py"},
    "torch": {"bench/torch_side.py", "testing/component_agreement.py"},
}


def test_optional_libraries_are_imported_in_their_places_only():
    found = {library: set() for library in OPTIONAL}
    for path in python_files():
        for library in {module.split(".")[0] for module in imports(path)} & set(OPTIONAL):
            place = path.relative_to(PACKAGE).as_posix()
            found[library].add("kernels/numba_cpu/" if place.startswith("kernels/numba_cpu/") else place)
    assert found == OPTIONAL


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_says_why_it_exists_and_what_is_public(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path}: no docstring"
    defines = any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        for node in tree.body
    )
    names = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    assert names or not defines, f"{path}: no __all__"


def modules():
    for info in pkgutil.walk_packages([str(PACKAGE)], "minidl."):
        if not any(part in info.name for part in ("__main__", "numba_cpu", "torch_side")):
            yield info.name


@pytest.mark.parametrize("name", ["minidl", *modules()])
def test_what_is_listed_as_public_is_there(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", []):
        assert getattr(module, public) is not None or public == "__version__"


PUBLIC = {
    "minidl": "__version__ cuda data errors get_backend get_num_threads kernels manual_seed "
    "metrics models nn optim set_num_threads testing to_device to_host train "
    "use_backend",
    "minidl.nn": "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d AlphaDropout AuxiliaryLoss "
    "AvgPool1d AvgPool2d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d Bilinear CELU "
    "CircularPad2d Concat Conv1d Conv2d ConvTranspose2d CosineEmbeddingLoss "
    "CosineSimilarity CrossEntropyLoss Dropout Dropout2d ELU Embedding EmbeddingBag "
    "Flatten GELU GLU GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh "
    "HingeEmbeddingLoss HuberLoss Identity InstanceNorm2d KLDivLoss L1Loss LayerNorm "
    "LeakyReLU Linear LocalResponseNorm LogSigmoid LogSoftmax MSELoss MaxPool1d "
    "MaxPool2d Mish Module ModuleDict ModuleList MultiMarginLoss NLLLoss PReLU "
    "Parameter PixelShuffle PixelUnshuffle PoissonNLLLoss RMSNorm ReLU ReLU6 "
    "ReflectionPad2d ReplicationPad2d Residual RowSparse SELU Sequential SiLU Sigmoid "
    "SmoothL1Loss SoftMarginLoss Softmax Softmin Softplus Softshrink Softsign Tanh "
    "Tanhshrink Threshold Unflatten Upsample ZeroPad2d init utils watch_backward "
    "watch_forward",
    "minidl.nn.utils": "clip_grad_norm_ clip_grad_value_ get_total_norm skip_init",
    "minidl.optim": "ASGD Adadelta Adagrad Adam AdamW Adamax LBFGS NAdam Optimizer RAdam RMSprop "
    "Rprop SGD SparseAdam lr_scheduler swa_utils",
    "minidl.optim.lr_scheduler": "ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts "
    "CyclicLR ExponentialLR LRScheduler LambdaLR LinearLR MultiStepLR "
    "MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR",
    "minidl.optim.swa_utils": "AveragedModel SWALR get_ema_avg_fn get_ema_multi_avg_fn get_swa_avg_fn "
    "get_swa_multi_avg_fn update_bn",
    "minidl.models": "AlexNet CifarResNet GoogLeNet GoogLeNetOutputs LeNet5 MLP MobileNetV2 Perceptron "
    "ResNet VGG alexnet freeze get_model googlenet list_models mobilenet_v2 model_for_images "
    "parameter_groups plain20 plain32 plain56 replace_head resnet101 resnet152 resnet18 "
    "resnet20 resnet32 resnet34 resnet50 resnet56 unfreeze vgg11 vgg11_bn vgg11_cifar vgg13 "
    "vgg13_bn vgg16 vgg16_bn vgg16_cifar vgg19 vgg19_bn",
    "minidl.data": "ArrayDataset BatchDataset BatchSampler CIFAR10 CIFAR100 Categories ConcatDataset "
    "DataLoader Dataset FashionMNIST MNIST RandomSampler Sampler SequentialSampler "
    "Standardize Subset SubsetRandomSampler WeightedRandomSampler fetch make_blobs "
    "make_line make_moons make_spirals one_hot random_split read_csv read_digit "
    "read_idx transforms",
    "minidl.kernels": "KERNELS Kernel absolute_error adam_step adaptive_avg_pool2d "
    "adaptive_avg_pool2d_input_grad adaptive_max_pool2d "
    "adaptive_max_pool2d_input_grad avg_pool2d avg_pool2d_input_grad bags_of "
    "batch_norm batch_norm_fixed batch_norm_input_grad binary_cross_entropy "
    "clipped_error conv2d conv2d_input_grad conv2d_weight_grad cross_entropy "
    "cross_entropy_with_logits dropout dropout_input_grad elu erf gather_rows gelu "
    "get_backend glu glu_input_grad group_norm group_norm_input_grad hardswish "
    "hardswish_input_grad kernel kl_divergence linear log_sigmoid log_softmax "
    "log_softmax_input_grad matmul max_pool2d max_pool2d_input_grad mish "
    "move_rows move_statistics multi_margin nll nll_input_grad pad2d pad2d_input_grad "
    "pair_input_grads pair_products poisson_nll prelu prelu_input_grad relu "
    "relu_input_grad resample scale_channels scatter_max "
    "scatter_rows scatter_winners sgd_step sigmoid sigmoid_input_grad silu "
    "slope_input_grad soft_margin softmax softmax_input_grad softplus softsign "
    "sparse_adam_step squared_error sum_channels sum_rows tanh tanh_input_grad "
    "tanhshrink three_lines three_lines_input_grad "
    "use_backend",
    "minidl.testing": "Bug CHECKS GradientCheck Sample SimulatedDevice TensorCheck Wrong "
    "check_component check_optimizer check_scheduler diagnose gradient_check "
    "numerical_gradient planted",
    "minidl.errors": "BackendError BackwardError CheckpointError DTypeError DataError KernelError "
    "MinidlError NonFiniteError ShapeError StateDictError WorkerError",
    "minidl.train": "Averaging Callback Checkpoint EarlyStopping History LambdaCallback "
    "LearningRateMonitor Recorder Recording SaveBest Trainer load_checkpoint "
    "load_weights save_checkpoint save_weights",
    "minidl.metrics": "AUROC Accuracy ClassificationReport ConfusionMatrix F1Score Mean "
    "MeanAbsoluteError MeanSquaredError Metric Precision R2Score ROC Recall RocCurve "
    "TopKAccuracy accuracy auc auroc classification_report confusion_matrix f1_score "
    "mean_absolute_error mean_squared_error precision r2_score recall report_text roc "
    "top_k_accuracy",
    "minidl.data.transforms": "CenterCrop ColorJitter Compose Cutout Normalize RandomCrop RandomErasing "
    "RandomHorizontalFlip RandomRotation RandomShift RandomVerticalFlip Resize "
    "ToFloat Transform",
}


@pytest.mark.parametrize("name", list(PUBLIC))
def test_the_public_names_are_these(name):
    assert sorted(importlib.import_module(name).__all__) == sorted(PUBLIC[name].split())


def fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    return done.stdout.strip()


HEAVY = (
    "cuda",
    "numba",
    "numba_cuda",
    "llvmlite",
    "threadpoolctl",
    "matplotlib",
    "rich",
    "PIL",
    "safetensors",
    "pytest",
    "torch",
)


def test_import_loads_nothing_heavy():
    code = f"import sys, minidl; print([m for m in {HEAVY} if m in sys.modules])"
    assert fresh(code) == "[]"


def test_rooms_load_nothing_heavy():
    rooms = "nn, optim, data, metrics, models, train"
    code = f"import sys; from minidl import {rooms}; print([m for m in {HEAVY} if m in sys.modules])"
    assert fresh(code) == "[]"


def test_import_adds_few_modules_to_numpys_own():
    """The promise is 0.3 s; what costs time is loading modules, and those can be counted.

    Most of them are the small files of the kernels' references.
    """
    code = """
import sys, numpy.random, numpy.typing
before = set(sys.modules)
import minidl
print(len(set(sys.modules) - before))
"""
    assert int(fresh(code)) < 45


def test_the_version_is_the_same_everywhere():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.*)"$', text, re.MULTILINE).group(1) == minidl.__version__
    assert minidl.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'minidl' has no attribute 'nothing'"):
        minidl.nothing  # noqa: B018


def tracked_files():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    names = [name for name in done.stdout.decode().split("\0") if name]
    if not names:
        pytest.skip("no git checkout here")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_no_file_names_a_registry_or_a_path_of_a_machine():
    hosts = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry.npm" + "js",
        "deb.deb" + "ian",
        "/ro" + "ot/",
        "/wo" + "rk/",
    ]
    for path in tracked_files():
        if path.suffix not in (".gz", ".png", ".ico"):
            text = path.read_text(encoding="utf-8")
            assert not [host for host in hosts if host in text], path


def test_nothing_minified_vendored_or_pickled_is_tracked():
    bad = re.compile(r"\.min\.(js|css)$|\.(pkl|pickle|pt|pth|woff2|wasm|npz|ipynb)$")
    assert not [path for path in tracked_files() if bad.search(path.name)]


def test_the_environment_of_the_tests_is_the_one_that_was_asked_for():
    """CI runs the suite on both backends; one that ran on the other unnoticed would prove nothing."""
    wanted = os.environ.get("MINIDL_BACKEND")
    assert wanted is None or minidl.get_backend() == wanted
