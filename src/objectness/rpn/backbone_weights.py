"""Initial weights of a backbone: ImageNet weights through timm, a file, or random numbers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from objectness.errors import InputError
from objectness.rpn.settings import BackboneSettings

_FILE = "model.safetensors"
_PATIENCE = 5.0  # seconds until the hub must have answered


def initialise(backbone: nn.Module, settings: BackboneSettings) -> tuple[bool, str]:
    """Fill ``backbone`` with the initial weights that the settings name.

    Returns:
        Whether weights were loaded, and one sentence on the weights that the backbone starts from.

    Raises:
        InputError: a weights file that is missing, broken or of another network.
    """
    if settings.weights is not None:
        load_weights_file(backbone, Path(settings.weights))
        return True, f"The backbone {settings.name} starts from {settings.weights}."
    initialise_from_scratch(backbone)
    if not settings.pretrained:
        return False, f"The backbone {settings.name} starts from scratch."
    if settings.name == "zf":
        return False, (
            "The backbone zf starts from scratch: nobody offers its ImageNet weights; "
            "give a file by rpn.backbone.weights=FILE to start from one."
        )
    try:
        path = imagenet_file(settings.name)
    except OSError as error:
        reason = str(error).splitlines()[0]
        return False, (
            f"The backbone {settings.name} starts from scratch: its ImageNet weights could not be reached "
            f"({reason}); give a file by rpn.backbone.weights=FILE to start from one."
        )
    load_weights_file(backbone, path)
    origin = path.parent.parent.parent.name  # the hub's cache folder is named after the repository
    return True, f"The backbone {settings.name} starts from ImageNet weights ({origin})."


def initialise_from_scratch(backbone: nn.Module) -> None:
    """He initialisation of plain chains, which have no batch norm to correct a bad scale; else timm's own."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in backbone.modules()):
        return
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.bias is not None:
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(module.bias)


def load_weights_file(backbone: nn.Module, path: Path) -> None:
    """Load a safetensors file into ``backbone``: by name where the names agree, else in order.

    The same network has other key names in torchvision and in timm, but its tensors come in the same order
    and with the same shapes; classifier layers that follow in the file are left over.

    Raises:
        InputError: no such file, not safetensors, or tensors of another network.
    """
    if not path.is_file():
        raise InputError(f"No weights file {path}: give the path of a .safetensors file.")
    try:
        given = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable safetensors file ({error}): copy or download it again.") from None
    own = {k: v for k, v in backbone.state_dict().items() if not k.endswith("num_batches_tracked")}
    by_name = {_flat(key): tensor for key, tensor in given.items()}
    if all(_flat(key) in by_name for key in own):
        paired = {key: by_name[_flat(key)] for key in own}
    else:
        paired = dict(zip(own, _in_layer_order(given), strict=False))
    for key, tensor in own.items():
        if key not in paired or paired[key].shape != tensor.shape:
            found = tuple(paired[key].shape) if key in paired else "nothing"
            raise InputError(
                f"{path} holds the weights of another network: {key} has shape {tuple(tensor.shape)}, "
                f"the file {found} in its place."
            )
    backbone.load_state_dict(paired, strict=False)


def _flat(key: str) -> str:
    """A key in one spelling: for features only, timm flattens ``stages.0`` to ``stages_0``."""
    return key.removeprefix("body.").removeprefix("model.").replace(".", "_")


def _in_layer_order(given: dict[str, Tensor]) -> list[Tensor]:
    """The tensors in the order of the network: numbered keys by number, a layer's own in the usual order."""
    kinds = ["weight", "bias", "running_mean", "running_var"]

    def place(key: str) -> tuple[tuple[int, int, str], ...]:
        *path, kind = key.split(".")
        return (
            *((0, int(part), "") if part.isdigit() else (1, 0, part) for part in path),
            (2, kinds.index(kind) if kind in kinds else len(kinds), kind),
        )

    convolutional = [
        key
        for key in given
        if not key.startswith(("classifier", "head", "fc", "pre_logits")) and not key.endswith("num_batches_tracked")
    ]
    return [given[key] for key in sorted(convolutional, key=place)]


def imagenet_file(name: str) -> Path:
    """Find the safetensors file of a timm model in the cache, else download it; nothing downloaded is unpickled.

    A cached file needs no network. A hub that cannot be reached, or accepts the connection without an answer, is given
    a few seconds: its own client would retry for minutes.

    Raises:
        OSError: it cannot be reached, or the model has no such file.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    described = timm.get_pretrained_cfg(name)
    if described is None or not described.hf_hub_id:
        raise OSError("timm offers none")
    repository = described.hf_hub_id
    if repository.endswith("/"):
        repository += ".".join(part for part in (described.architecture, described.tag) if part)
    with suppress(LocalEntryNotFoundError):
        return Path(hf_hub_download(repository, _FILE, local_files_only=True))
    try:
        get_hf_file_metadata(hf_hub_url(repository, _FILE), timeout=_PATIENCE)
        return Path(hf_hub_download(repository, _FILE, etag_timeout=_PATIENCE))
    except OSError:
        raise
    except Exception as error:  # of the HTTP library below the client, whose errors are no OSErrors
        raise OSError(str(error) or type(error).__name__) from None
