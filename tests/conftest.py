"""Settings that every test shares; set before torch, numpy and matplotlib are imported."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: more threads cost more than they give
os.environ.setdefault("MPLBACKEND", "Agg")
