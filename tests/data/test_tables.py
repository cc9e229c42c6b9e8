"""Tables: what a CSV file holds, where it is wrong, and numbers made fit for a network."""

import math

import numpy as np
import pytest

from minidl.data import Categories, Standardize, one_hot, read_csv
from minidl.errors import DataError, DTypeError, ShapeError


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_columns_by_name_each_in_the_narrowest_kind(tmp_path):
    path = write(tmp_path, 'age,height,name\n31, 1.75,Ada\n-4,2e0,"Turing, Alan"\n\n+7,.5,x\n')
    table = read_csv(path)
    assert list(table) == ["age", "height", "name"]
    np.testing.assert_array_equal(table["age"], np.int64([31, -4, 7]), strict=True)
    np.testing.assert_array_equal(table["height"], np.float64([1.75, 2, 0.5]), strict=True)
    assert table["name"].tolist() == ["Ada", "Turing, Alan", "x"]
    assert table["name"].dtype.kind == "U"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quotes_line_ends_and_a_byte_order_mark(tmp_path, end):
    path = write(tmp_path, end.join(["\ufeffa;b", '"1 ""x""";"two', 'lines"', "2;é"]))
    table = read_csv(path, delimiter=";")
    assert table["a"].tolist() == ['1 "x"', "2"]
    assert table["b"].tolist() == [f"two{end}lines", "é"]


def test_without_a_header_and_only_some_columns(tmp_path):
    path = write(tmp_path, "1\t2\t3\n4\t5\t6")
    table = read_csv(path, header=False, delimiter="\t", columns=["2", "0"])
    assert {name: column.tolist() for name, column in table.items()} == {"2": [3, 6], "0": [1, 4]}
    assert list(table) == ["2", "0"]


def test_dtypes_that_are_asked_for(tmp_path):
    path = write(tmp_path, "zip,x\n01234,1\n99999,2\n")
    table = read_csv(path, dtype={"zip": str})
    assert table["zip"].tolist() == ["01234", "99999"]
    assert table["x"].dtype == np.int64
    assert read_csv(path, dtype=np.float32)["x"].dtype == np.float32
    assert read_csv(path, columns=["x"], dtype=np.uint8)["x"].dtype == np.uint8
    with pytest.raises(
        DataError, match=r"t\.csv, line 3, column 'zip': expected a number \(int16\), got 999"
    ):
        read_csv(path, dtype=np.int16)
    with pytest.raises(DTypeError, match="read_csv: expected a dtype of numbers or text, got bool"):
        read_csv(path, dtype=bool)


@pytest.mark.parametrize("gone", ["", " ", "NA", "?", "nan", "null"])
def test_a_missing_number_is_an_error_unless_it_is_filled(tmp_path, gone):
    path = write(tmp_path, f"a,b,c\n1,2.5,x\n{gone},{gone},{gone}\n3,4,y\n")
    message = rf"t\.csv, line 3, column 'a': expected a number, got {gone.strip()!r}; fill= says"
    with pytest.raises(DataError, match=message.replace("?", r"\?", 1) if gone == "?" else message):
        read_csv(path)
    table = read_csv(path, fill=math.nan)
    np.testing.assert_array_equal(table["a"], [1, math.nan, 3])
    np.testing.assert_array_equal(table["b"], [2.5, math.nan, 4])
    assert table["c"].tolist() == ["x", "", "y"]
    np.testing.assert_array_equal(read_csv(path, fill=-1)["a"], np.int64([1, -1, 3]), strict=True)
    assert read_csv(path, missing=(), dtype=str)["a"].tolist() == ["1", gone, "3"]


@pytest.mark.parametrize("field", ["1_000", "0x10", "1,5", "--1", "1e", "٣", "infinity and beyond", "1 2"])
def test_what_is_no_number_is_text_or_named(tmp_path, field):
    path = write(tmp_path, f'x\n1\n"{field}"\n')
    assert read_csv(path)["x"].tolist() == ["1", field]
    with pytest.raises(DataError, match=r"line 3, column 'x': expected a number \(float64\), got"):
        read_csv(path, dtype=float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: expected a table, got an empty file"),
        ("\n\n  \n", "t.csv: expected a table, got an empty file"),
        ("a,b\n1,2\n3\n", r"t.csv, line 3: expected 2 fields, got 1"),
        ("a,b\n1,2,3\n", r"t.csv, line 2: expected 2 fields, got 3"),
        ('a,b\n"1\n\n",2\n3\n', r"t.csv, line 5: expected 2 fields, got 1"),
        ("a,b,a\n1,2,3\n", "t.csv, line 1: expected columns of different names, got 'a' twice"),
        ('a\n"open\n', r"t.csv, line 2: expected fields of a CSV file, got unexpected end of data"),
        ('a\n"x"y\n', r"t.csv, line 2: expected fields of a CSV file, got ',' expected after"),
        ("a\n" + "x" * 200_000, r"t.csv, line 2: .*field larger than field limit"),
    ],
)
def test_what_is_wrong_names_the_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path, text))


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: expected a CSV file, got no file of that name"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match="expected a CSV file, got Is a directory"):
        read_csv(tmp_path)
    path = write(tmp_path, "a\né\n", "latin-1")
    with pytest.raises(DataError, match=r"t\.csv: expected text in utf-8-sig, got something else"):
        read_csv(path)
    assert read_csv(path, encoding="latin-1")["a"].tolist() == ["é"]


def test_names_that_are_not_there(tmp_path):
    path = write(tmp_path, "a,b\n1,2\n")
    for wrong in ({"columns": ["c"]}, {"dtype": {"c": int}}):
        with pytest.raises(ValueError, match="expected one of the columns a, b, got 'c'"):
            read_csv(path, **wrong)
    with pytest.raises(ValueError, match="a delimiter of one character, got ', '"):
        read_csv(path, delimiter=", ")


def test_a_table_of_a_header_only(tmp_path):
    assert {name: len(column) for name, column in read_csv(write(tmp_path, "a,b\n")).items()} == {
        "a": 0,
        "b": 0,
    }
    assert read_csv(write(tmp_path, "a\n"), dtype=int)["a"].dtype == np.int64


def test_a_large_table_is_quick_enough(tmp_path):
    rows = np.random.default_rng(0).random((5000, 8)).round(6)
    path = write(tmp_path, ",".join("abcdefgh") + "\n" + "\n".join(",".join(map(str, row)) for row in rows))
    table = read_csv(path)
    np.testing.assert_array_equal(np.stack(list(table.values()), axis=1), rows)


# ---------------------------------------------------------------- standardising


def test_standardising_by_hand():
    x = np.array([[1.0, 10.0, 5.0], [3.0, 30.0, 5.0]])
    scale = Standardize().fit(x)
    np.testing.assert_array_equal(scale.mean, [2, 20, 5])
    np.testing.assert_array_equal(scale.std, [1, 10, 1])  # a constant column is only shifted
    np.testing.assert_array_equal(scale(x), [[-1, -1, 0], [1, 1, 0]])
    np.testing.assert_array_equal(scale([[5, 0, 6]]), [[3, -2, 1]])  # by the training data's figures
    np.testing.assert_array_equal(scale.inverse(scale(x)), x)
    assert scale(x.astype(np.float32)).dtype == np.float32
    assert scale(x.astype(int)).dtype == np.float64
    before = x.copy()
    scale(x)[...] = 0
    np.testing.assert_array_equal(x, before)


def test_standardising_as_scikit_learn_does():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = np.random.default_rng(0).normal(5, 3, (50, 4)) * [1, 100, 1e-3, 1]
    x[:, 3] = 0.1  # whose mean is not exactly 0.1
    theirs = preprocessing.StandardScaler().fit(x)
    ours = Standardize().fit(x)
    np.testing.assert_allclose(ours(x)[:, :3], theirs.transform(x)[:, :3], rtol=1e-10)
    np.testing.assert_allclose(ours(x)[:, 3], 0, atol=1e-12)
    np.testing.assert_allclose(ours.inverse(ours(x)), x, rtol=1e-12)


def test_standardising_what_makes_no_sense():
    scale = Standardize()
    with pytest.raises(ValueError, match=r"Standardize: expected fit\(x\) with the training data first"):
        scale([[1.0]])
    with pytest.raises(ShapeError, match=r"at least one row \(N, …\), got shape \(0, 3\)"):
        scale.fit(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="finite numbers to measure"):
        scale.fit([[1.0], [math.nan]])
    with pytest.raises(DTypeError, match="Standardize: expected numbers, got <U1"):
        scale.fit(["a"])
    assert scale.mean is None
    scale.fit(np.eye(3))
    with pytest.raises(ShapeError, match=r"Standardize: expected shape \(N, 3\), got \(2, 4\)"):
        scale(np.zeros((2, 4)))


# ---------------------------------------------------------------- categories


def test_words_as_numbers():
    colours = Categories(["red", "blue", "red", "green"])
    assert colours.names == ("blue", "green", "red")
    codes = colours(np.array([["red", "blue"], ["green", "red"]]))
    np.testing.assert_array_equal(codes, np.int64([[2, 0], [1, 2]]), strict=True)
    assert [colours.names[code] for code in codes[0]] == ["red", "blue"]
    assert len(colours) == 3
    assert repr(colours) == "Categories(['blue', 'green', 'red'])"
    for unknown in ("pink", "a", "zebra", "redder"):
        with pytest.raises(DataError, match=f"Categories: expected one of blue, green, red, got '{unknown}'"):
            colours(["red", unknown])
    with pytest.raises(ValueError, match="at least one value, got none"):
        Categories([])
    assert Categories(np.array([30, 10])).names == (10, 30)


def test_one_hot_by_hand():
    rows = one_hot([2, 0])
    np.testing.assert_array_equal(rows, np.float32([[0, 0, 1], [1, 0, 0]]), strict=True)
    assert one_hot(np.array([[1], [0]]), 4, np.float64).shape == (2, 1, 4)
    assert one_hot([], 3).shape == (0, 3)
    assert one_hot(1, 2).tolist() == [0, 1]


def test_one_hot_as_torch_does():
    torch = pytest.importorskip("torch")
    labels = np.random.default_rng(0).integers(0, 5, (3, 4))
    for classes in (-1, 5, 9):
        theirs = torch.nn.functional.one_hot(torch.from_numpy(labels), classes).numpy()
        np.testing.assert_array_equal(one_hot(labels, classes, np.int64), theirs, strict=True)


@pytest.mark.parametrize(
    ("labels", "classes", "error", "message"),
    [
        ([0, -1], 3, ValueError, "labels from 0 to 2, got -1"),
        ([0, 3], 3, ValueError, "labels from 0 to 2, got 3"),
        ([0.0], 3, DTypeError, "integer labels, got float64"),
        ([], -1, ValueError, "num_classes where there are no labels"),
    ],
)
def test_labels_that_do_not_fit(labels, classes, error, message):
    with pytest.raises(error, match=f"one_hot: expected {message}"):
        one_hot(labels, classes)
