"""Cross-modal attention: cosine similarities of places and sounds, and the decoder that they guide."""

import torch
from torch.nn import functional as F

from hearsight.nn import AttentiveDecoder, cosine_attention

CHANNELS = (4, 8, 16)


def encoded(batch: int = 2) -> list[torch.Tensor]:
    """Outputs of three encoder stages of a spectrogram of 32 x 16."""
    return [torch.randn(batch, width, 32 >> i, 16 >> i) for i, width in enumerate(CHANNELS, start=1)]


def test_attention_is_the_cosine_of_every_pair() -> None:
    visual, audio = torch.randn(2, 5, 6), torch.randn(2, 5, 3, 4)
    attention = cosine_attention(visual, audio)
    assert attention.shape == (2, 6, 3, 4)
    for place, row, column in ((0, 0, 0), (5, 2, 3), (2, 1, 0)):
        wanted = F.cosine_similarity(visual[:, :, place], audio[:, :, row, column], dim=1)
        torch.testing.assert_close(attention[:, place, row, column], wanted)


def test_attention_does_not_depend_on_loudness_or_brightness() -> None:
    visual, audio = torch.randn(1, 5, 6), torch.randn(1, 5, 3, 4)
    torch.testing.assert_close(cosine_attention(3 * visual, 0.01 * audio), cosine_attention(visual, audio))
    assert not cosine_attention(visual, torch.zeros_like(audio)).any()


def test_each_stage_attends_with_its_own_size_and_both_modalities_one_after_the_other() -> None:
    decoder = AttentiveDecoder(CHANNELS, positions=6, modalities=2, out_channels=3).eval()
    stages, visual = encoded(), [torch.randn(2, 16, 6), torch.randn(2, 16, 6)]
    with torch.no_grad():
        result = decoder(stages, visual)
    assert result.logits.shape == (2, 3, 32, 16)
    assert [maps.shape for maps in result.attention] == [(2, 12, 4, 2), (2, 12, 8, 4), (2, 12, 16, 8)]
    # The first stage compares with the bottleneck as it is (no layer aligns it).
    torch.testing.assert_close(result.attention[0][:, :6], cosine_attention(visual[0], stages[-1]))
    torch.testing.assert_close(result.attention[0][:, 6:], cosine_attention(visual[1], stages[-1]))


def test_a_place_that_is_attended_to_changes_the_sound() -> None:
    decoder = AttentiveDecoder(CHANNELS, positions=6, modalities=1, out_channels=2).eval()
    stages, visual = encoded(1), torch.randn(1, 16, 6)
    other = visual.clone()
    other[:, :, 2] = -other[:, :, 2]
    with torch.no_grad():
        assert (decoder(stages, [visual]).logits - decoder(stages, [other]).logits).abs().max() > 0


def test_without_modalities_it_is_the_decoder_of_a_plain_unet() -> None:
    decoder = AttentiveDecoder(CHANNELS, positions=6, modalities=0, out_channels=2)
    result = decoder(encoded(), [])
    assert result.logits.shape == (2, 2, 32, 16) and result.attention == ()
    # 16 -> 8, 8 + 8 -> 4, 4 + 4 -> 2
    assert [layer[0].in_channels for layer in decoder.up] + [decoder.head.in_channels] == [16, 16, 8]
