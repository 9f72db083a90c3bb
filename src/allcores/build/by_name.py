"""What a clean interpreter finds by its name: modules that are imported, and what stands in them."""

from __future__ import annotations

import sys
import zipimport
from functools import lru_cache
from importlib import machinery
from types import ModuleType
from typing import Any

from allcores.plan.ownership import is_own_module

PLAIN = (
    machinery.SourceFileLoader,
    machinery.SourcelessFileLoader,
    machinery.ExtensionFileLoader,
    machinery.NamespaceLoader,
    zipimport.zipimporter,
)
"""What imports a module as any interpreter does."""
WITHOUT_FILE = (machinery.BuiltinImporter, machinery.FrozenImporter)


def named(module: Any) -> bool:
    """Whether a clean interpreter that imports this module by its name has the same one."""
    try:
        name, spec = module.__name__, module.__spec__
    except AttributeError:
        return False
    if sys.modules.get(name) is not module or name in ("__main__", "__mp_main__"):
        return False
    if spec is None or getattr(spec, "_initializing", False):
        return False
    if not is_own_module(name):
        return True
    loader = spec.loader
    if loader in WITHOUT_FILE:
        return True
    if type(loader) not in PLAIN or spec.name != name:
        return False
    return bool(_found(name, spec.origin, tuple(sys.path)))


@lru_cache(1000)
def _found(name: str, origin: str | None, path: tuple[str, ...]) -> bool:
    """Whether importing a module takes it from where it came from."""
    package, _, _ = name.rpartition(".")
    within = getattr(sys.modules.get(package), "__path__", None) if package else None
    if package and within is None:
        return False
    try:
        spec = machinery.PathFinder.find_spec(name, within)
    except Exception:
        return False
    return spec is not None and spec.origin == origin


def found_by_name(value: Any) -> bool:
    """Whether a class or function is what stands under its name in a module that is imported."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    found: Any = module
    try:
        for part in value.__qualname__.split("."):
            found = getattr(found, part)
    except AttributeError:
        return False
    return found is value and isinstance(module, ModuleType) and named(module)
