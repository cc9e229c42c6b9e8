"""Data sets and the loader that deals them out in batches."""

from minidl.data import transforms
from minidl.data.cifar import CIFAR10, CIFAR100
from minidl.data.csv import read_csv
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
from minidl.data.made import make_blobs, make_line, make_moons, make_spirals
from minidl.data.mnist import MNIST
from minidl.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from minidl.data.tables import Categories, Standardize, one_hot

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "ArrayDataset",
    "BatchDataset",
    "BatchSampler",
    "Categories",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "FashionMNIST",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Standardize",
    "Subset",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "fetch",
    "make_blobs",
    "make_line",
    "make_moons",
    "make_spirals",
    "one_hot",
    "random_split",
    "read_csv",
    "read_digit",
    "read_idx",
    "transforms",
]
