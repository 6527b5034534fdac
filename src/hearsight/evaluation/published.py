"""Values printed in the four papers, to stand beside one's own. Keys are what a benchmark file's `published` names.

Metrics go by our names: `mag_released` is the papers' Mag, `snr_db` their SNR, `difference_phase` their D phase.
"""

from hearsight.errors import DataError

Table = dict[str, dict[str, float]]

_TWO = ("stft", "env")
_FIVE = ("stft", "env", "mag_released", "difference_phase", "snr_db")
_SEPARATION = ("sdr", "sir", "sar")


def published_table(key: str) -> tuple[str, Table]:
    """Where a table is printed, and its rows: system (as in `hearsight models` where it has a name) to values.

    Raises:
        DataError: there is no such table; the message lists those there are.
    """
    if key not in PUBLISHED:
        raise DataError(f"no published table {key!r}; known: {', '.join(PUBLISHED)}")
    return PUBLISHED[key]


def _table(columns: tuple[str, ...], rows: dict[str, tuple[float, ...]]) -> Table:
    return {row: dict(zip(columns, values, strict=True)) for row, values in rows.items()}


PUBLISHED: dict[str, tuple[str, Table]] = {
    "fair-play/ten-splits": (
        "2.5D Visual Sound, table 1 (mean over ten random splits)",
        _table(
            _TWO,
            {
                "audio-only": (0.966, 0.141),
                "flipped-visual": (1.145, 0.149),
                "mono-mono": (1.155, 0.153),
                "mono2binaural": (0.836, 0.132),
            },
        ),
    ),
    "rec-street": (
        "2.5D Visual Sound, table 1",
        _table(
            _TWO,
            {
                "ambisonics": (0.744, 0.126),
                "audio-only": (0.590, 0.114),
                "flipped-visual": (0.658, 0.123),
                "mono-mono": (0.774, 0.136),
                "mono2binaural": (0.565, 0.109),
            },
        ),
    ),
    "yt-clean": (
        "2.5D Visual Sound, table 1",
        _table(
            _TWO,
            {
                "ambisonics": (1.435, 0.155),
                "audio-only": (1.065, 0.131),
                "flipped-visual": (1.095, 0.132),
                "mono-mono": (1.369, 0.153),
                "mono2binaural": (1.027, 0.130),
            },
        ),
    ),
    "yt-music": (
        "2.5D Visual Sound, table 1",
        _table(
            _TWO,
            {
                "ambisonics": (1.885, 0.183),
                "audio-only": (1.553, 0.167),
                "flipped-visual": (1.590, 0.165),
                "mono-mono": (1.853, 0.184),
                "mono2binaural": (1.451, 0.156),
            },
        ),
    ),
    "fair-play/sep-stereo": (
        "Sep-Stereo, table 1 and supplement, table 1 (trained anew by its authors)",
        _table(
            _TWO,
            {
                "mono2binaural": (0.959, 0.141),
                "baseline-music": (0.930, 0.139),
                "associative-conv": (0.893, 0.137),
                "apnet": (0.889, 0.136),
                "sep-stereo": (0.879, 0.135),
                "unet-out": (0.933, 0.140),
                "vertical-extremes": (0.919, 0.139),
            },
        ),
    ),
    "yt-music/sep-stereo": (
        "Sep-Stereo, table 1",
        _table(
            _TWO,
            {
                "mono2binaural": (1.346, 0.179),
                "baseline-music": (1.308, 0.175),
                "associative-conv": (1.147, 0.150),
                "apnet": (1.070, 0.148),
                "sep-stereo": (1.051, 0.145),
            },
        ),
    ),
    "fair-play/five-splits": (
        "PseudoBinaural, table 1; Beyond Mono to Binaural, table 3 (mean over five scene-disjoint splits)",
        _table(
            _FIVE,
            {
                "mono-mono": (1.024, 0.145, 2.049, 1.571, 4.968),
                "mono2binaural": (0.917, 0.137, 1.835, 1.504, 5.203),
                "pseudobinaural-without-separation": (0.951, 0.140, 1.914, 1.539, 5.037),
                "pseudobinaural": (0.944, 0.139, 1.901, 1.522, 5.124),
                "sep-stereo": (0.906, 0.136, 1.811, 1.495, 5.221),
                "augment-hrir": (0.896, 0.137, 1.791, 1.472, 5.255),
                "augment-ambisonic": (0.912, 0.139, 1.823, 1.477, 5.220),
                "augment-pseudobinaural": (0.878, 0.134, 1.768, 1.467, 5.316),
                "beyond-mono": (0.909, 0.139, 1.819, 1.479, 6.397),
            },
        ),
    ),
    "music-stereo": (
        "PseudoBinaural, table 1; Beyond Mono to Binaural, table 3",
        _table(
            _FIVE,
            {
                "mono-mono": (1.014, 0.144, 2.027, 1.568, 7.858),
                "mono2binaural": (0.942, 0.138, 1.885, 1.550, 8.255),
                "pseudobinaural-without-separation": (0.953, 0.139, 1.902, 1.564, 8.129),
                "pseudobinaural": (0.943, 0.139, 1.886, 1.562, 8.198),
                "sep-stereo": (0.929, 0.135, 1.803, 1.544, 8.306),
                "augment-hrir": (0.940, 0.138, 1.866, 1.550, 8.259),
                "augment-ambisonic": (0.909, 0.137, 1.817, 1.546, 8.277),
                "augment-pseudobinaural": (0.891, 0.132, 1.762, 1.539, 8.419),
                "beyond-mono": (0.670, 0.108, 1.340, 1.538, 10.754),
            },
        ),
    ),
    "fair-play/cross": (
        "PseudoBinaural, table 2 (supervised systems trained on MUSIC-Stereo)",
        _table(
            _FIVE,
            {
                "mono2binaural": (0.996, 0.142, 1.993, 1.562, 5.876),
                "pseudobinaural": (0.959, 0.140, 1.917, 1.496, 6.057),
            },
        ),
    ),
    "music-stereo/cross": (
        "PseudoBinaural, table 2 (trained on FAIR-Play)",
        _table(
            _FIVE,
            {
                "mono2binaural": (0.971, 0.140, 1.942, 1.552, 7.933),
                "pseudobinaural": (0.952, 0.139, 1.904, 0.574, 8.099),
            },
        ),
    ),
    "yt-music/cross": (
        "PseudoBinaural, table 2 (trained on FAIR-Play)",
        _table(
            _FIVE,
            {
                "mono2binaural": (0.717, 0.118, 1.435, 1.597, 9.214),
                "pseudobinaural": (0.653, 0.111, 1.306, 1.357, 9.848),
            },
        ),
    ),
    "separation/2.5d": (
        "2.5D Visual Sound, table 2 (45 pairs of ten solo clips)",
        _table(
            _SEPARATION,
            {
                "mono": (2.57, 4.25, 10.12),
                "mono-mono": (2.43, 4.01, 10.15),
                "predicted-binaural": (3.01, 5.03, 10.24),
                "true-binaural": (3.25, 5.32, 10.60),
            },
        ),
    ),
    "separation/sep-stereo": (
        "Sep-Stereo, table 2 (duets of MUSIC)",
        _table(
            _SEPARATION,
            {
                "baseline-music": (5.21, 6.44, 14.44),
                "associative-conv": (5.79, 6.87, 14.49),
                "pixelplayer": (7.67, 14.81, 11.24),
                "sep-stereo": (8.07, 10.14, 15.51),
                "ddt": (8.29, 14.82, 14.47),
            },
        ),
    ),
}
