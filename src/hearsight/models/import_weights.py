"""Import of the authors' released checkpoints into hearsight's networks.

The published code saves one file per part: the visual network, the audio network (with the 1 x 1 convolution that
reduces the visual map) and, from Sep-Stereo on, the fusion network; CCStereo's code saves a single file. The tensors of
a file show which part it is, so files may come in any order. Nothing in a file is executed (`torch.load(...,
weights_only=True)`).
"""

import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hearsight.errors import ModelError
from hearsight.models.interface import StereoNetwork
from hearsight.models.registry import card


@dataclass(frozen=True)
class Imported:
    """A network with the authors' weights, in evaluation mode.

    Attributes:
        network: the network.
        parts: part that each file was recognised as, in the order given.
        unused: tensors of the files that the authors' own networks never use, as "FILE: NAME".
    """

    network: StereoNetwork
    parts: list[str]
    unused: list[str]


def import_weights(system: str, files: Sequence[str | Path]) -> Imported:
    """Make the network of a system with weights from the authors' files.

    Sizes (channels, ResNet-18 or -34) are read off the tensors. Prefixes of `DataParallel` are removed; tensors that
    the released networks hold but do not use (`channel_mapping_conv_b`, the ResNet's `fc`) are left out and reported.
    If Sep-Stereo has one fusion file, it serves stereo and separation, as in the released code; a second fusion file
    is for separation only. All of Sep-Stereo's systems get the released rearrangement. An audio network of
    PseudoBinaural without any entry of a norm has instance norms, as its released scripts train it. Levels are those
    of the authors' training: both ears together (`level: ears`), for PseudoBinaural the mix. CCStereo is an exception:
    its training scales by both ears, but its test scales by the mix, and so does the network here.

    Args:
        system: one of `IMPORTABLE`.
        files: files of that system's parts, in any order (of two fusion files, stereo first).

    Raises:
        ModelError: a file is missing, no checkpoint, or holds more than tensors; it belongs to another system, a part
            is missing or duplicate, or a tensor is missing, unknown or of another shape.
    """
    if system not in IMPORTABLE:
        raise ModelError(
            f"no released weights are known for {system!r}; there are some for {', '.join(IMPORTABLE)}", "unsupported"
        )
    parts = [_read_part(Path(file)) for file in files]
    wanted = IMPORTABLE[system]
    for part in parts:
        if part.layout not in wanted.layouts:
            owners = ", ".join(name for name, other in IMPORTABLE.items() if part.layout in other.layouts)
            raise ModelError(
                f"{part.file}: holds {_ARTICLED[part.layout]}, which belongs to {owners}; "
                f"{system} is made of {wanted.described()}",
                "mismatch",
            )
    by_role = {role: [part for part in parts if _ROLES[part.layout] == role] for role in sorted(set(_ROLES.values()))}
    for role, (fewest, most) in wanted.counts.items():
        found = by_role[role]
        if len(found) < fewest:
            raise ModelError(
                f"{system} also needs the file of its {role} network; it is made of {wanted.described()}", "missing"
            )
        if len(found) > most:
            raise ModelError(f"{found[most].file}: a second {role} network beside {found[0].file}; give each part once")
    network = _make(system, by_role)
    unused = _fill(network, by_role)
    return Imported(network.eval(), [_ARTICLED[part.layout] for part in parts], unused)


@dataclass(frozen=True)
class _Wanted:
    """Part layouts that a system accepts, and the fewest and most files of each role."""

    layouts: tuple[str, ...]
    counts: Mapping[str, tuple[int, int]]

    def described(self) -> str:
        return ", ".join(_ARTICLED[layout] for layout in self.layouts)


_ROLES = {
    "plain": "visual",
    "dilated": "visual",
    "audio": "audio",
    "apnet": "fusion",
    "associative-conv": "fusion",
    "ccstereo": "whole",
}
_ARTICLED = {
    "plain": "a plain visual network (feature_extraction.*)",
    "dilated": "a dilated visual network (features.*)",
    "audio": "an audio network (audionet_*)",
    "apnet": "an APNet (fusion1.* to fusion4.*)",
    "associative-conv": "an Associative-Conv (fusion.*)",
    "ccstereo": "a whole CCStereo (net_visual.*, net_audio.*)",
}
_THREE = {"visual": (1, 1), "audio": (1, 1), "fusion": (1, 1)}
_TWO = {"visual": (1, 1), "audio": (1, 1)}

IMPORTABLE: Mapping[str, _Wanted] = {
    "mono2binaural": _Wanted(("plain", "audio"), _TWO),
    "flipped-visual": _Wanted(("plain", "audio"), _TWO),
    "associative-conv": _Wanted(("dilated", "audio", "associative-conv"), _THREE),
    "apnet": _Wanted(("dilated", "audio", "apnet"), _THREE),
    "sep-stereo": _Wanted(("dilated", "audio", "apnet", "associative-conv"), {**_TWO, "fusion": (1, 2)}),
    "unet-out": _Wanted(("dilated", "audio", "apnet", "associative-conv"), {**_TWO, "fusion": (1, 2)}),
    "pseudobinaural": _Wanted(("plain", "dilated", "audio", "apnet", "associative-conv"), {**_TWO, "fusion": (0, 1)}),
    "ccstereo": _Wanted(("ccstereo",), {"whole": (1, 1)}),
}


@dataclass(frozen=True)
class _Part:
    """Tensors of a file by the authors' names, without prefixes of `DataParallel`."""

    file: Path
    layout: str
    tensors: dict[str, Tensor]


def _read_part(file: Path) -> _Part:
    tensors = _read_tensors(file)
    marks: dict[str, Callable[[str], bool]] = {
        "plain": lambda name: name.startswith("feature_extraction."),
        "dilated": lambda name: name.startswith("features."),
        "audio": lambda name: name.startswith("audionet_"),
        "apnet": lambda name: re.match(r"fusion\d\.", name) is not None,
        "associative-conv": lambda name: name.startswith("fusion."),
        "ccstereo": lambda name: name.startswith(("net_visual.", "net_audio.")),
    }
    layouts = [layout for layout, mark in marks.items() if any(map(mark, tensors))]
    if len(layouts) != 1:
        what = (
            " and ".join(_ARTICLED[layout] for layout in layouts)
            or f"tensors named {next(iter(tensors))!r} and the like"
        )
        raise ModelError(f"{file}: holds {what}, not one part of a released checkpoint", "mismatch")
    return _Part(file, layouts[0], tensors)


def _read_tensors(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise ModelError(f"{file}: no such file", "missing")
    try:
        with warnings.catch_warnings():  # about pickle protocols: real problems become errors below
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file}: not read: it is no PyTorch checkpoint, or holds more than tensors, and nothing in it is run",
            "unreadable",
        ) from error
    except Exception as error:  # the unpickler may fail in any way on a file that is no checkpoint
        raise ModelError(f"{file}: not a PyTorch checkpoint ({type(error).__name__})", "unreadable") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{file}: holds a {type(content).__name__}, not named tensors", "unreadable")
    wrong = [name for name, value in content.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if wrong:
        raise ModelError(
            f"{file}: {wrong[0]!r} is no tensor; a released checkpoint holds only named tensors", "unreadable"
        )
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _make(system: str, by_role: Mapping[str, list[_Part]]) -> StereoNetwork:
    """Make a network with the sizes that the tensors show."""
    if by_role["whole"]:
        return _make_ccstereo(by_role["whole"][0])
    visual, audio, fusions = by_role["visual"][0], by_role["audio"][0], by_role["fusion"]
    settings: dict[str, Any] = {
        "segment": {"level": "mix" if system == "pseudobinaural" else "ears"},
        "channels": _sizes(audio, "audionet_convlayer{}.0.weight", range(1, 20)),
        "condition_channels": _sizes(audio, "conv1x1.{}.weight", range(1))[0],
        "visual_widths": _sizes(visual, _prefix(visual) + ".{}.0.conv1.weight", range(4, 8)),
        "visual_depths": [
            len(_sizes(visual, f"{_prefix(visual)}.{stage}.{{}}.conv1.weight", range(100))) for stage in range(4, 8)
        ],
    }
    if system in ("sep-stereo", "unet-out"):
        if len({fusion.layout for fusion in fusions}) > 1:
            raise ModelError(f"{fusions[1].file}: its fusion is another than that of {fusions[0].file}", "mismatch")
        settings["fusion"] = "pyramid" if fusions[0].layout == "apnet" else "outermost"
        settings["share_pyramid"] = len(fusions) == 1
        settings["rearrangement"] = "released"
    elif system == "pseudobinaural":
        settings["dilated"] = visual.layout == "dilated"
        settings["backbone"] = fusions[0].layout if fusions else "mono2binaural"
        settings["separation"] = False
        normed = any(re.match(r"audionet_(up)?convlayer\d+\.1\.", name) for name in audio.tensors)
        settings["norm"] = "batch" if normed else "instance"
    network = card(system).load_class()(**settings)
    assert isinstance(network, StereoNetwork)
    return network


def _make_ccstereo(part: _Part) -> StereoNetwork:
    from hearsight.models.ccstereo import CCStereo

    backbone = _CCSTEREO_BACKBONE
    return CCStereo(
        channels=_sizes(part, "net_audio.audionet_convlayer{}.0.weight", range(1, 20)),
        visual_widths=_sizes(part, backbone + ".{}.0.conv1.weight", range(4, 8)),
        visual_depths=[len(_sizes(part, f"{backbone}.{stage}.{{}}.conv1.weight", range(100))) for stage in range(4, 8)],
        pyramid_channels=_sizes(part, "net_visual.segment.aspp.map_convs.{}.weight", range(1))[0],
    )


def _sizes(part: _Part, name: str, numbers: Iterable[int]) -> list[int]:
    """First dimensions of the tensors `name` with consecutive numbers, up to the first that is missing."""
    sizes: list[int] = []
    for number in numbers:
        tensor = part.tensors.get(name.format(number))
        if tensor is None:
            break
        sizes.append(tensor.shape[0])
    if not sizes:
        raise ModelError(f"{part.file}: tensor {name.format(next(iter(numbers)))!r} is missing", "mismatch")
    return sizes


def _fill(network: StereoNetwork, by_role: Mapping[str, list[_Part]]) -> list[str]:
    """Copy the parts' tensors into the network, and return the names of unused ones."""
    own = network.state_dict()
    unused: list[str] = []
    for part, pairs in _correspondences(network, by_role):
        known = dict(pairs)
        unused += [f"{part.file}: {name}" for name in part.tensors if name not in known and _is_unused(part, name)]
        for name in part.tensors:
            if name not in known and not _is_unused(part, name):
                raise ModelError(
                    f"{part.file}: tensor {name!r} {list(part.tensors[name].shape)} is unknown", "mismatch"
                )
        for theirs, ours in known.items():
            tensor = part.tensors.get(theirs)
            if tensor is None:
                if theirs.endswith("num_batches_tracked"):  # older batch norms did not count
                    continue
                raise ModelError(f"{part.file}: tensor {theirs!r} {list(own[ours].shape)} is missing", "mismatch")
            if tensor.shape != own[ours].shape:
                raise ModelError(
                    f"{part.file}: tensor {theirs!r} has shape {list(tensor.shape)}, "
                    f"this network's has {list(own[ours].shape)}",
                    "mismatch",
                )
            own[ours].copy_(tensor)  # the state dict shares memory with the network
    return unused


def _is_unused(part: _Part, name: str) -> bool:
    """Whether the authors' own forward pass never uses a tensor of this name."""
    if _ROLES[part.layout] == "visual":
        return name.startswith("fc.")
    if part.layout == "ccstereo":
        return re.search(r"segment\.reduce\.|upnorm\.(attn_layer|flow_conv)\.", name) is not None
    return "channel_mapping_conv_b." in name


def _correspondences(
    network: StereoNetwork, by_role: Mapping[str, list[_Part]]
) -> Iterator[tuple[_Part, list[tuple[str, str]]]]:
    """For each part, pairs of the authors' name and ours for every tensor that it must hold."""
    ours = list(network.state_dict())
    for part in by_role["whole"]:
        yield part, [(_ccstereo_name(name), name) for name in ours]
    if by_role["whole"]:
        return
    visual, audio = by_role["visual"][0], by_role["audio"][0]
    yield visual, [(_visual_name(name, _prefix(visual)), name) for name in ours if name.startswith("visual.")]
    last = sum(bool(re.match(r"unet\.up\.\d+\.0\.weight", name)) for name in ours) + 1
    yield audio, [(_audio_name(name, last), name) for name in ours if name.startswith(("unet.", "condition."))]
    for part, prefix in zip(by_role["fusion"], ("fusion.", "separation."), strict=False):
        yield part, [(_fusion_name(name.removeprefix(prefix)), name) for name in ours if name.startswith(prefix)]


def _prefix(part: _Part) -> str:
    return "feature_extraction" if part.layout == "plain" else "features"


def _visual_name(ours: str, prefix: str) -> str:
    """Name in torchvision's `Sequential`: layer 0 is the convolution, 1 the norm, 4 to 7 are the stages."""
    leaf = ours.rsplit(".", 1)[1]
    if ours.startswith("visual.stem."):
        return f"{prefix}.{0 if '.convolution.' in ours else 1}.{leaf}"
    stage, block = re.match(r"visual\.stages\.(\d+)\.layers\.(\d+)\.", ours).groups()  # type: ignore[union-attr]
    within = f"{prefix}.{int(stage) + 4}.{block}"
    if ".shortcut." in ours:
        return f"{within}.downsample.{0 if '.convolution.' in ours else 1}.{leaf}"
    number = int(re.search(r"\.layer\.(\d+)\.", ours).group(1)) + 1  # type: ignore[union-attr]
    return f"{within}.{'conv' if '.convolution.' in ours else 'bn'}{number}.{leaf}"


def _audio_name(ours: str, last: int) -> str:
    ours = re.sub(r"^unet\.down\.(\d+)\.", lambda found: f"audionet_convlayer{int(found[1]) + 1}.", ours)
    ours = re.sub(r"^unet\.up\.(\d+)\.", lambda found: f"audionet_upconvlayer{int(found[1]) + 1}.", ours)
    return ours.replace("unet.head.", f"audionet_upconvlayer{last}.0.").replace("condition.reduce.", "conv1x1.")


def _fusion_name(ours: str) -> str:
    ours = re.sub(r"^associations\.(\d+)\.", lambda found: f"fusion{int(found[1]) + 1}.", ours)
    ours = re.sub(r"^upsamplings\.(\d+)\.", lambda found: f"fusion_upconv{int(found[1]) + 1}.", ours)
    ours = re.sub(r"^association\.", "fusion.", ours).replace("transfer.0.", "channel_mapping_conv_w.")
    return re.sub(r"^(left|right)\.", r"lastconv_\1.0.", ours)


_CCSTEREO_BACKBONE = "net_visual.backbone.feature_extraction"
_CCSTEREO = (
    (r"^visual\.atrous\.", "net_visual.segment.aspp.map_convs."),
    (r"^visual\.atrous_norm\.", "net_visual.segment.aspp.map_bn."),
    (r"^visual\.atrous_reduce\.", "net_visual.segment.aspp.red_conv."),
    (r"^visual\.pooled\.", "net_visual.segment.aspp.global_pooling_conv."),
    (r"^visual\.pooled_norm\.", "net_visual.segment.aspp.global_pooling_bn."),
    (r"^visual\.pooled_reduce\.", "net_visual.segment.aspp.pool_red_conv."),
    (r"^visual\.norm\.", "net_visual.segment.aspp.red_bn."),
    (r"^project\.", "net_audio.conv1x1_rgb."),
    (r"^fusion\.audio_positions$", "net_audio.aud_pos_embed.weight"),
    (r"^fusion\.visual_positions$", "net_audio.img_pos_embed.weight"),
    (r"^fusion\.cross\.", "net_audio.transformer_cross_attention_layers.0.multihead_attn."),
    (r"^fusion\.cross_norm\.", "net_audio.transformer_cross_attention_layers.0.norm."),
    (r"^fusion\.among\.", "net_audio.transformer_self_attention_layers.0.self_attn."),
    (r"^fusion\.among_norm\.", "net_audio.transformer_self_attention_layers.0.norm."),
    (r"^fusion\.feed\.0\.", "net_audio.transformer_ffn_layers.0.linear1."),
    (r"^fusion\.feed\.2\.", "net_audio.transformer_ffn_layers.0.linear2."),
    (r"^fusion\.feed_norm\.", "net_audio.transformer_ffn_layers.0.norm."),
    (r"^up_first\.", "net_audio.audionet_upconvlayer1.upconv."),
    (r"^denormalization\.audio_positions$", "net_audio.audionet_upconvlayer1.upnorm.pos_embed_a"),
    (r"^denormalization\.visual_positions$", "net_audio.audionet_upconvlayer1.upnorm.pos_embed_v"),
    (r"^denormalization\.norm\.", "net_audio.audionet_upconvlayer1.upnorm.param_free_norm."),
    (r"^denormalization\.reduce\.", "net_audio.audionet_upconvlayer1.upnorm.visual_conv."),
    (r"^denormalization\.shared\.", "net_audio.audionet_upconvlayer1.upnorm.mlp_shared.0."),
    (r"^denormalization\.scale\.", "net_audio.audionet_upconvlayer1.upnorm.mlp_gamma."),
    (r"^denormalization\.shift\.", "net_audio.audionet_upconvlayer1.upnorm.mlp_beta."),
    (r"^head\.", "net_audio.audionet_upconvlayer5.upconv."),
)


def _ccstereo_name(ours: str) -> str:
    if ours.startswith("visual.backbone."):
        return _visual_name(ours.replace("visual.backbone.", "visual."), _CCSTEREO_BACKBONE)
    ours = re.sub(r"^down\.(\d+)\.", lambda found: f"net_audio.audionet_convlayer{int(found[1]) + 1}.", ours)
    ours = re.sub(
        r"^up\.(\d+)\.([01])\.",
        lambda found: f"net_audio.audionet_upconvlayer{int(found[1]) + 2}.{('upconv', 'upnorm')[int(found[2])]}.",
        ours,
    )
    for pattern, theirs in _CCSTEREO:
        ours = re.sub(pattern, theirs, ours)
    return ours
