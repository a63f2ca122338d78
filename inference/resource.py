"""Where the files that travel with the code lie."""

from importlib.util import find_spec
from pathlib import Path


def locate(package: str, folder: str) -> Path:
    """The folder that travels with a package: inside it once installed, beside it in a checkout.

    Args:
        package: name of the package the folder is installed into, ``webapp`` or ``inference``.
        folder: name of the folder, such as ``templates`` or ``models``.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package named {package!r}")
    root = Path(spec.origin).parent
    inside = root / folder
    return inside if inside.is_dir() else root.parent / folder
