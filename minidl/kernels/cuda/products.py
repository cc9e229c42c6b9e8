from minidl.array.gpu import gpu_function, uint32
from minidl.kernels.cuda.tiles import *

@gpu_function
def row_of_a(batch, row, a_batch, a_row):
    return uint32(batch * a_batch + row * a_row)

@gpu_function
def step_of_a(k, a_step):
    return uint32(k * a_step)

@gpu_function
def column_of_b(batch, column, b_batch, b_column):
    return uint32(batch * b_batch + column * b_column)

@gpu_function
def step_of_b(k, b_step):
    return uint32(k * b_step)

@gpu_function
def column_of_c(batch, column, c_batch):
    return uint32(batch * c_batch + column)

A = Matrix(row_of_a, step_of_a, offset, "either")
B = Matrix(column_of_b, step_of_b, offset, "either")
C = Matrix(column_of_c)
SIZES = "a_batch a_row a_step b_batch b_step b_column c_batch"
KERNELS = {
    tile: product_kernel(f"product_{tile.rows}x{tile.columns}", tile, SIZES, A, B, C) for tile in (LARGE, SMALL)
}
