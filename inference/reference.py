"""What a model is called, turned into the folder it lies in.

A reference is the name of an embedded model, a folder, a ``model.tar.gz`` as SageMaker keeps them,
or a Hugging Face hub id with an optional revision: ``org/name@revision``.
"""

import hashlib
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from os.path import expanduser
from pathlib import Path, PurePosixPath

from platformdirs import user_cache_path

from inference.errors import InvalidInput, NotFound, TooLarge
from inference.resource import locate

_HUB_ID = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?", re.ASCII)

# What of a hub repository is needed to serve it: no ONNX, TensorFlow or training leftovers.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors", "*.bin"]
_NOT_NEEDED = ["onnx/*", "openvino/*", "training_args.bin", "optimizer.bin", "checkpoint-*/*"]

_ARCHIVES = (".tar.gz", ".tgz", ".tar")

_MAX_UNPACKED_BYTES = 16 * 2**30
_MAX_MEMBERS = 10_000


def embedded_models() -> list[str]:
    """Names of the sentence encoders that travel with ssang."""
    return [name for name in _embedded() if (_models() / name / "modules.json").exists()]


def embedded_readers() -> list[str]:
    """Names of the readers that travel with ssang."""
    return [name for name in _embedded() if name not in embedded_models()]


def find_model(reference: str, embedded: Sequence[str] | None = None) -> tuple[str, Path]:
    """The name clients see, and the folder of the model; fetched or unpacked first if need be.

    Args:
        reference: see above.
        embedded: names of the embedded models that are meant; None for the encoders.

    Raises:
        NotFound: there is no such model, or it cannot be fetched.
        InvalidInput: an archive that cannot be trusted or read.
        TooLarge: an archive that unpacks to more than 16 GiB.
    """
    embedded = embedded_models() if embedded is None else embedded
    if reference in embedded:
        return reference, _models() / reference
    # Path.expanduser() raises where `~name` is nobody's.
    path = Path(expanduser(reference))
    if reference and path.is_dir():
        return path.resolve().name, path.resolve()
    if path.is_file() and path.name.endswith(_ARCHIVES):
        return re.sub(r"\.(tar|tgz|tar\.gz)$", "", path.name), unpack(path, _cache())
    hub = _HUB_ID.fullmatch(reference)
    if hub:
        return hub["id"], _fetch(hub["id"], hub["revision"])
    travelling = f"an embedded model ({', '.join(embedded)}), " if embedded else ""
    raise NotFound(
        f"There is no model '{reference}': name {travelling}a folder, a model.tar.gz, or a hub id "
        "such as org/name."
    )


def _models() -> Path:
    return locate("inference", "models")


def _embedded() -> list[str]:
    return sorted(path.parent.name for path in _models().glob("*/config.json"))


def unpack(archive: Path, cache: Path) -> Path:
    """The folder with an archive's content, unpacked once into ``cache`` by its hash.

    Only plain files and folders below the archive's own root are let out of it.
    """
    with archive.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    target = cache / "archives" / digest
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            _extract(archive, Path(temporary) / "model")
            _publish(Path(temporary) / "model", target)
    return _model_root(target)


def _extract(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            _check_members(archive, members)
            tar.extractall(folder, members=members, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InvalidInput(f"{archive} cannot be unpacked: copy it again. ({error})") from error


def _check_members(archive: Path, members: list[tarfile.TarInfo]) -> None:
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise InvalidInput(f"{archive} holds a path outside itself, {member.name}: refused.")
        if not (member.isfile() or member.isdir()):
            raise InvalidInput(f"{archive} holds a link or device, {member.name}: refused.")
    total = sum(member.size for member in members)
    if total > _MAX_UNPACKED_BYTES or len(members) > _MAX_MEMBERS:
        raise TooLarge(
            f"{archive} would unpack to {total:,} bytes in {len(members):,} files, more than the "
            f"{_MAX_UNPACKED_BYTES:,} in {_MAX_MEMBERS:,} that are allowed."
        )


def _publish(folder: Path, target: Path) -> None:
    """Puts an unpacked folder in its place, which another process may have filled meanwhile."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(folder)


def _model_root(folder: Path) -> Path:
    """The folder itself, or the only one in it: archives are packed either way."""
    inside = [path for path in folder.iterdir() if path.name != "code"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _fetch(hub_id: str, revision: str | None) -> Path:
    """The snapshot of a hub repository: the cached one if it is whole, else fetched.

    The cache comes first, so that a service starts without the hub, and all its workers on the same
    snapshot; a newer one is had by naming its revision.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for cached_only in (True, False):
        try:
            folder = snapshot_download(
                hub_id,
                revision=revision,
                allow_patterns=_HUB_FILES,
                ignore_patterns=_NOT_NEEDED,
                local_files_only=cached_only,
            )
        except LocalEntryNotFoundError as error:
            if not cached_only:
                raise _not_fetched(hub_id, revision, "the hub cannot be reached") from error
        except (OSError, ValueError) as error:
            raise _not_fetched(hub_id, revision, type(error).__name__) from error
        else:
            return Path(folder)
    raise AssertionError("one of both returns or raises")


def _not_fetched(hub_id: str, revision: str | None, reason: str) -> NotFound:
    wanted = f"{hub_id}@{revision}" if revision else hub_id
    return NotFound(
        f"Model '{wanted}' is not in the cache and cannot be fetched from the Hugging Face hub "
        f"({reason}): check its name, the network and, if it is private, HF_TOKEN."
    )


def _cache() -> Path:
    return user_cache_path("ssang")
