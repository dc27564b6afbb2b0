"""Values as bytes between ranks: records, numbers, text and arrays, and nothing that runs anything when it is read.

Whoever reaches a rank's port could send it a pickle, which by itself may call any function. Here a pickle is read whose
names are looked up among plain containers, NumPy's arrays, Arrow's types, paths, and this package's own records and
errors.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import is_dataclass
from enum import Enum
from importlib import import_module
from typing import Any

from dist_stilts.errors import UserError

PACKAGE = "dist_stilts"
ARRAYS = {"_reconstruct", "scalar", "_frombuffer", "ndarray", "dtype"}
TYPES = (
    "type_for_alias schema field struct list_ large_list list_view map_ dictionary binary timestamp decimal128 "
    "decimal256 union run_end_encoded bool8 json_ uuid"
)
"""By these names Arrow's pickles make their types."""
PLAIN = {
    "builtins": {"set", "frozenset", "bytearray", "complex", "range", "slice", "int", "float", "str", "list", "dict"},
    "collections": {"OrderedDict", "Counter", "defaultdict", "deque"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "pyarrow.lib": set(TYPES.split()),
    "numpy": ARRAYS,
    **dict.fromkeys(("numpy._core.multiarray", "numpy._core.numeric", "numpy.core.multiarray"), ARRAYS),
}


def write(value: object) -> bytes:
    """The value's bytes; what :func:`read` would refuse is only refused there."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def read(message: bytes) -> Any:
    """The value.

    Raises:
        pickle.UnpicklingError: the message names something that no value of ours consists of.
    """
    return _Reader(io.BytesIO(message)).load()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.startswith(f"{PACKAGE}.") and "." not in name:
            found = getattr(import_module(module), name, None)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, (Enum, UserError, tuple))):
                return found
        raise pickle.UnpicklingError(f"a message from another rank names {module}.{name}")
