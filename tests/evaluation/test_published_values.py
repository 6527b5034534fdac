"""The published values in the recipes and those that tables show beside one's own were copied apart; they agree."""

from pathlib import Path

import pytest

from hearsight.evaluation.published import published_table
from hearsight.recipes.recipe import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
BOTH = {
    "fair-play/mono2binaural": ("fair-play/ten-splits", "mono2binaural"),
    "fair-play/audio-only": ("fair-play/ten-splits", "audio-only"),
    "rec-street/ambisonic": ("rec-street", "ambisonics"),
    "rec-street/mono2binaural": ("rec-street", "mono2binaural"),
    "yt-clean/audio-only": ("yt-clean", "audio-only"),
    "yt-clean/ambisonic": ("yt-clean", "ambisonics"),
    "yt-music/mono2binaural": ("yt-music", "mono2binaural"),
    "yt-music/audio-only": ("yt-music", "audio-only"),
    "fair-play/mono2binaural-sep-stereo": ("fair-play/sep-stereo", "mono2binaural"),
    "fair-play/mono2binaural-music": ("fair-play/sep-stereo", "baseline-music"),
    "fair-play/associative-conv": ("fair-play/sep-stereo", "associative-conv"),
    "fair-play/apnet": ("fair-play/sep-stereo", "apnet"),
    "fair-play/sep-stereo": ("fair-play/sep-stereo", "sep-stereo"),
    "fair-play/unet-out": ("fair-play/sep-stereo", "unet-out"),
    "fair-play/sep-stereo-vertical": ("fair-play/sep-stereo", "vertical-extremes"),
    "yt-music/apnet": ("yt-music/sep-stereo", "apnet"),
    "yt-music/sep-stereo": ("yt-music/sep-stereo", "sep-stereo"),
    **{
        f"{folder}/{recipe}": (table, row)
        for folder, table in (("fair-play", "fair-play/five-splits"), ("music-stereo", "music-stereo"))
        for recipe, row in (
            ("pseudobinaural", "pseudobinaural"),
            ("pseudobinaural-without-separation", "pseudobinaural-without-separation"),
            ("augment-hrir", "augment-hrir"),
            ("augment-ambisonic", "augment-ambisonic"),
            ("augment-pseudobinaural", "augment-pseudobinaural"),
            ("beyond-mono", "beyond-mono"),
        )
    },
    "fair-play/scenes-mono2binaural": ("fair-play/five-splits", "mono2binaural"),
    "fair-play/scenes-sep-stereo": ("fair-play/five-splits", "sep-stereo"),
    "fair-play/mix-and-separate-mono": ("separation/2.5d", "mono"),
    "fair-play/mix-and-separate-predicted": ("separation/2.5d", "predicted-binaural"),
    "fair-play/mix-and-separate-true": ("separation/2.5d", "true-binaural"),
    "music/pixel-player": ("separation/sep-stereo", "pixelplayer"),
    "music/sep-stereo": ("separation/sep-stereo", "sep-stereo"),
}


@pytest.mark.parametrize("recipe", BOTH)
def test_a_recipe_and_its_table_agree(recipe):
    table, row = BOTH[recipe]
    published = read_recipe(RECIPES / f"{recipe}.yaml").reproduces
    assert published is not None
    values = {name.replace("_db", "") if name.startswith("s") else name: v for name, v in published.published.items()}
    expected = {name.replace("_db", ""): value for name, value in published_table(table)[1][row].items()}
    assert values == expected
