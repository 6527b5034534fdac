"""Debian packages for the sound bank: their content, paths and licences."""

from dataclasses import dataclass
from pathlib import Path

from hearsight.errors import DependencyError


@dataclass(frozen=True)
class Package:
    """A package, a path that it installs, its content and its licence."""

    name: str
    path: Path
    gives: str
    licence: str


FONTS: tuple[Package, ...] = (
    Package("fluid-soundfont-gm", Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"), "all instruments", "MIT"),
    Package(
        "musescore-general-soundfont",
        Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3"),
        "all instruments",
        "MIT",
    ),
)
"""Sound fonts for training. csound-soundfont is left out: it shares samples with the font kept for validation."""

DRUM_FONTS: tuple[Package, ...] = (
    Package("avldrums.lv2-soundfont", Path("/usr/share/sounds/sf2/Black_Pearl_4_LV2.sf2"), "drums", "CC BY-SA 3.0"),
    Package("avldrums.lv2-soundfont", Path("/usr/share/sounds/sf2/Red_Zeppelin_4_LV2.sf2"), "drums", "CC BY-SA 3.0"),
)
"""Sound fonts with one drum kit each."""

EFFECT_FONT = Package("fluid-soundfont-gs", Path("/usr/share/sounds/sf2/FluidR3_GS.sf2"), "noises", "MIT")

RECORDINGS: tuple[Package, ...] = (
    Package(
        "hydrogen-drumkits", Path("/usr/share/hydrogen/data/drumkits"), "drums", "per kit: GPL-2+, CC BY, CC BY-SA, CC0"
    ),
    *DRUM_FONTS,
    EFFECT_FONT,
    Package("sonic-pi-samples", Path("/usr/share/sonic-pi/samples"), "drums", "CC0"),
    Package("timidity", Path("/usr/bin/timidity"), "plays freepats", "GPL-2+"),
    Package("freepats", Path("/usr/share/midi/freepats"), "most instruments", "GPL-2+ with an exception for music"),
    Package("espeak-ng", Path("/usr/bin/espeak-ng"), "speech in many languages", "GPL-3+"),
    Package("flite", Path("/usr/bin/flite"), "English speech", "CMU's, like BSD"),
    Package(
        "asterisk-core-sounds-en-g722", Path("/usr/share/asterisk/sounds/en_US_f_Allison"), "speech", "CC BY-SA 3.0"
    ),
    Package(
        "asterisk-core-sounds-es-g722", Path("/usr/share/asterisk/sounds/es_MX_f_Allison"), "speech", "CC BY-SA 3.0"
    ),
    Package("asterisk-core-sounds-fr-g722", Path("/usr/share/asterisk/sounds/fr_CA_f_June"), "speech", "CC BY-SA 3.0"),
    Package("asterisk-core-sounds-it-g722", Path("/usr/share/asterisk/sounds/it_IT_m_Carlo"), "speech", "CC BY-SA 3.0"),
    Package(
        "asterisk-core-sounds-ru-g722", Path("/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU"), "speech", "CC BY-SA 3.0"
    ),
    Package("klettres-data", Path("/usr/share/klettres"), "letters and syllables", "GPL-2+"),
    Package("minetest-data", Path("/usr/share/games/minetest/games/minetest_game"), "noises", "CC BY-SA 3.0 and freer"),
    Package("bucklespring-data", Path("/usr/share/buckle/wav"), "typing", "GPL-2"),
    Package("sound-theme-freedesktop", Path("/usr/share/sounds/freedesktop"), "signals", "GPL-2+, CC BY, CC BY-SA"),
)


def require_packages(fonts_too: bool = True, recordings_too: bool = True) -> None:
    """Check that the packages are installed.

    Raises:
        DependencyError: packages are missing; the message names them all and the line that installs them.
    """
    wanted = (FONTS if fonts_too else ()) + (RECORDINGS if recordings_too else ())
    missing = list(dict.fromkeys(package.name for package in wanted if not package.path.exists()))
    if missing:
        names = " ".join(missing)
        raise DependencyError(
            f"the sound bank needs {len(missing)} Debian package(s) that are not installed: run "
            f"`apt-get install --no-install-recommends {names}`",
            "missing",
        )
