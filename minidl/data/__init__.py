"""Data sets and the loader that deals them out in batches."""

from minidl.data import transforms
from minidl.data.cifar import CIFAR10, CIFAR100
from minidl.data.dataset import (
    ArrayDataset,
    BatchDataset,
    ConcatDataset,
    Dataset,
    Subset,
    fetch,
    random_split,
)
from minidl.data.digit import read_digit
from minidl.data.fashion_mnist import FashionMNIST
from minidl.data.idx import read_idx
from minidl.data.loader import DataLoader
from minidl.data.mnist import MNIST
from minidl.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "ArrayDataset",
    "BatchDataset",
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "FashionMNIST",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "fetch",
    "random_split",
    "read_digit",
    "read_idx",
    "transforms",
]
