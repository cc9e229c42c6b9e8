"""What all tests share: one BLAS thread, set before NumPy is loaded, and inherited by every process started.

With two, parallel test processes on two cores spend their time waiting for each other's threads.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
