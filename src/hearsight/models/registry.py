"""Registry of all models that have a name."""

import inspect
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from hearsight.errors import ModelError
from hearsight.models.zoo import zoo_models
from hearsight.own_code import imported, is_place


@dataclass(frozen=True)
class Card:
    """Entry of a model in the list of `hearsight models`.

    Attributes:
        name: name that users type.
        home: "module:Class" of the model; imported only when needed.
        task: "binaural" (mono and frames in, two ears out) or "separation" (a mix and frames in, stems out).
        source: paper and section, or origin of the idea.
        summary: one line.
        ready: whether it works from a plain install (no trained weights needed, or shipped in the package).
        network: "module:Class" of the network inside, if the model as a whole is no network; the class at `home` takes
            it as its first argument.
        weights: folder of the weights in the package, relative to it.
        places_sources: whether the class at `home` has `with_sources` and `for_scene` (`interface.PlacesSources`).
    """

    name: str
    home: str
    task: Literal["binaural", "separation"]
    source: str
    summary: str
    ready: bool = False
    network: str | None = None
    places_sources: bool = False
    weights: str | None = None

    @property
    def weights_folder(self) -> Path | None:
        """Folder of the weights in the package; None if they are not in it."""
        return None if self.weights is None else Path(__file__).parents[1] / self.weights

    def load_class(self) -> Any:
        """Import the class at `home`."""
        return _imported(self.home)

    def load_network_class(self) -> Any:
        """Import the class that is trained and saved: the one at `network`, else at `home`."""
        return _imported(self.network or self.home)


CARDS: tuple[Card, ...] = (
    Card(
        "sounding-objects",
        "hearsight.models.sounding_objects:SoundingObjects",
        "binaural",
        "hearsight's own; associative convolution as in Sep-Stereo, pairs as in PseudoBinaural, in the space of maps",
        "The default: hears which instruments play, sees where they are, and places each part of the sound.",
        ready=True,
        network="hearsight.models.sounding_objects:SoundClassifier",
        places_sources=True,
        weights="models/sounding_objects/data",
    ),
    Card(
        "positions",
        "hearsight.models.positions:Positions",
        "binaural",
        "hearsight's own; directions as in Xu et al., CVPR 2021, section 3.2",
        "Sources at given positions, or found by motion in step with the sound, rendered by HRIRs.",
        ready=True,
        places_sources=True,
    ),
    Card(
        "mono-mono",
        "hearsight.models.baselines:MonoMono",
        "binaural",
        "Gao and Grauman, 2.5D Visual Sound, CVPR 2019, section 4.3",
        "Baseline: the mix on both ears.",
        ready=True,
    ),
    Card(
        "audio-only",
        "hearsight.models.baselines:AudioOnly",
        "binaural",
        "Gao and Grauman, 2.5D Visual Sound, CVPR 2019, section 4.3",
        "Baseline: Mono2Binaural without the visual stream.",
    ),
    Card(
        "flipped-visual",
        "hearsight.models.baselines:FlippedVisual",
        "binaural",
        "Gao and Grauman, 2.5D Visual Sound, CVPR 2019, section 4.3",
        "Baseline: a trained Mono2Binaural that is shown mirrored frames.",
    ),
    Card(
        "mono2binaural",
        "hearsight.models.mono2binaural:Mono2Binaural",
        "binaural",
        "Gao and Grauman, 2.5D Visual Sound, CVPR 2019, section 3.3",
        "The difference of the ears as a complex mask on the mix, guided by a frame.",
    ),
    Card(
        "ambisonic",
        "hearsight.models.ambisonic:Ambisonic",
        "binaural",
        "Morgado et al., NeurIPS 2018, as in 2.5D Visual Sound, section 4.3",
        "The 360-degree baseline: first-order ambisonics predicted from mono and frames, decoded with HRIRs.",
    ),
    Card(
        "associative-conv",
        "hearsight.models.associative_conv:AssociativeConvNetwork",
        "binaural",
        "Zhou et al., Sep-Stereo, ECCV 2020, section 4.3",
        "Left and right as two masks, audio associated with picture positions at one stage.",
    ),
    Card(
        "apnet",
        "hearsight.models.apnet:APNet",
        "binaural",
        "Zhou et al., Sep-Stereo, ECCV 2020, section 3.2",
        "Left and right as two masks, audio associated with picture positions in a pyramid.",
    ),
    Card(
        "unet-out",
        "hearsight.models.sep_stereo:UNetOut",
        "binaural",
        "Zhou et al., Sep-Stereo, ECCV 2020, supplement, table 1",
        "Ablation: Sep-Stereo that predicts with its backbone.",
    ),
    Card(
        "sep-stereo",
        "hearsight.models.sep_stereo:SepStereo",
        "binaural",
        "Zhou et al., Sep-Stereo, ECCV 2020, section 3.3",
        "APNet that learns stereo and separation together, or stereo from separation alone.",
    ),
    Card(
        "sep-stereo-unsupervised",
        "hearsight.models.sep_stereo:UnsupervisedSepStereo",
        "binaural",
        "Zhou et al., Sep-Stereo, ECCV 2020, supplement, section 1.1",
        "Stereo by the separation pyramid of Sep-Stereo, which learns from solo clips alone.",
    ),
    Card(
        "pseudobinaural",
        "hearsight.models.pseudobinaural:PseudoBinaural",
        "binaural",
        "Xu et al., Visually Informed Binaural Audio Generation without Binaural Audios, CVPR 2021, section 3.3",
        "A stereo network learned from pseudo pairs made of mono clips, with a separation branch.",
    ),
    Card(
        "beyond-mono",
        "hearsight.models.beyond_mono:BeyondMono",
        "binaural",
        "Parida et al., Beyond Mono to Binaural, WACV 2022",
        "Picture and depth transformers, cross-modal attention at every decoder stage, three decoders.",
    ),
    Card(
        "ccstereo",
        "hearsight.models.ccstereo:CCStereo",
        "binaural",
        "Chen et al., CCStereo, ACM MM 2025",
        "Attention in the bottleneck, a decoder de-normalised by the picture, a contrast between neighbouring frames.",
    ),
    Card(
        "hrtf-attention",
        "hearsight.models.hrtf_attention:HRTFAttention",
        "binaural",
        "hearsight's own; attention as in CCStereo and Sep-Stereo, directions as in PseudoBinaural",
        "Each bin of the sound attends to directions in the picture, and is rendered from there by HRTFs.",
    ),
    Card(
        "mix-and-separate",
        "hearsight.models.mix_and_separate:MixAndSeparate",
        "separation",
        "Gao and Grauman, 2.5D Visual Sound, CVPR 2019, section 3.4",
        "Ratio masks on the log magnitude of one channel or of two ears, one frame per source.",
    ),
    Card(
        "pixel-player",
        "hearsight.models.pixel_player:PixelPlayer",
        "separation",
        "Zhao et al., The Sound of Pixels, ECCV 2018",
        "Binary or ratio masks: components of the mix, weighted by what each source's frame shows.",
    ),
)


FORMER_NAMES: dict[str, str] = {"concert": "sounding-objects", "located": "positions"}
"""Model names of earlier versions, which still work for one release."""


def current_name(name: str) -> str:
    """Present name of a model; a former name causes a `FutureWarning`."""
    if name not in FORMER_NAMES:
        return name
    warnings.warn(f"{name} is called {FORMER_NAMES[name]} now", FutureWarning, stacklevel=3)
    return FORMER_NAMES[name]


@cache
def zoo_cards() -> tuple[Card, ...]:
    """Cards of the small trained networks in the package, ready to be used by name.

    Raises:
        ModelError: one of their cards is damaged.
    """
    systems = {card.name: card for card in CARDS}
    cards = []
    for model in zoo_models():
        system = systems.get(model.system)
        if system is None:
            raise ModelError(
                f"{model.folder}: of an unknown system, {model.system!r}; install hearsight again", "mismatch"
            )
        place = str(model.folder)
        cards.append(Card(model.name, system.home, system.task, model.source, model.summary, True, weights=place))
    return tuple(cards)


OWN_MODELS = "hearsight.models"
"""Group of entry points with which an installed package adds models: NAME = "package.module:Class"."""


@cache
def own_cards() -> tuple[Card, ...]:
    """Cards of models from other installed packages; if one cannot be imported, its summary is the reason."""
    return tuple(_own_card(point.name, point.value) for point in entry_points(group=OWN_MODELS))


def find_card(name: str) -> Card | None:
    """Card of a model by its present or former name; None if no model has that name (it may be a folder).

    "package.module:Class" is a class of the user's own; modules in the working folder are found too.
    """
    now = current_name(name)
    known = next((card for card in CARDS if card.name == now), None)
    known = known or next((card for card in (*zoo_cards(), *own_cards()) if card.name == now), None)
    return _own_card(now, now) if known is None and is_place(now) else known


def _own_card(name: str, home: str) -> Card:
    try:
        cls = imported(home)
        summary = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
    except ModelError as error:
        return Card(name, home, "binaural", home, str(error))
    return Card(name, home, "separation" if getattr(cls, "separates", False) else "binaural", home, summary)


def card(name: str) -> Card:
    """Card of a model by its present or former name.

    Raises:
        ModelError: no model has that name; the message lists the known ones.
    """
    known = find_card(name)
    if known is not None:
        return known
    raise ModelError(f"unknown model {name!r}; known: {', '.join(known.name for known in CARDS)}", "unknown")


def _imported(place: str) -> Any:
    if not place.startswith("hearsight."):
        return imported(place)
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)  # errors pass through: they name a missing extra
