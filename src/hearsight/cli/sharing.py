"""Distribution of a command's work: over processes of this machine, or over a Ray cluster."""

import re
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hearsight.cli.options import of_form

if TYPE_CHECKING:
    from hearsight.workers import RayCluster

Count = TypeVar("Count")
_ADDRESS = r"auto|local|ray://\S+|[\w.-]+:\d+"


Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        callback=of_form(_ADDRESS, "use auto, local or HOST:PORT"),
        help="Share the work in a Ray cluster: HOST:PORT, local (a cluster on this machine that ends with the job), or "
        "auto, the default address: the cluster that RAY_ADDRESS or `ray start` names, else local.",
    ),
]


def spelled_out(arguments: list[str]) -> list[str]:
    """Arguments in which a `--ray` without an address is followed by `auto`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = arguments[:end], arguments[end:]
    spelled = []
    for argument, following in zip(options, [*options[1:], ""], strict=False):
        spelled.append(argument)
        if argument == "--ray" and not re.fullmatch(_ADDRESS, following):
            spelled.append("auto")
    return spelled + rest


def workers_of(ray: str | None, workers: Count, device: str = "cpu") -> "RayCluster | Count":
    """The Ray cluster if one was requested, with a GPU per task if the device is one; otherwise the workers."""
    if ray is None:
        return workers
    from hearsight.workers import RayCluster

    return RayCluster(ray, gpus=1.0 if device.startswith("cuda") else 0.0)
