import math
import shutil

import h5py
import numpy as np
import pytest
import torch
from error_codes import coded

from hearsight.acoustics import HRIRSet, from_cartesian, load_hrirs, to_cartesian
from hearsight.acoustics.hrir import KEMAR
from hearsight.acoustics.triangulation import SphericalTriangulation
from hearsight.errors import DataError

HORIZON = torch.deg2rad(torch.arange(-180.0, 180.0, 1.0))


def itd_ms(responses: torch.Tensor, rate: float, low_hz: float = 100, high_hz: float = 1500) -> torch.Tensor:
    """Lag of the right ear behind the left from the peak of their band-limited cross-correlation."""
    length, fine = 4096, 64
    frequency = torch.fft.rfftfreq(length, 1 / rate)
    spectra = torch.fft.rfft(responses.double(), length) * ((frequency > low_hz) & (frequency < high_hz))
    cross = torch.nn.functional.pad(spectra[..., 1, :] * spectra[..., 0, :].conj(), (0, (fine - 1) * length // 2))
    lag = torch.fft.irfft(cross, length * fine).argmax(-1)
    return torch.where(lag > length * fine // 2, lag - length * fine, lag) / fine / rate * 1e3


def band_level_db(responses: torch.Tensor, rate: float, low_hz: float, high_hz: float) -> torch.Tensor:
    power = torch.fft.rfft(responses.double(), 4096).abs().square()
    frequency = torch.fft.rfftfreq(4096, 1 / rate)
    return 10 * torch.log10(power[..., (frequency > low_hz) & (frequency < high_hz)].mean(-1))


def test_kemar_loads_as_described(kemar):
    assert len(kemar.azimuth) == 710
    assert kemar.sample_rate_hz == 44_100
    assert kemar.responses.dtype == torch.float32
    assert math.degrees(kemar.elevation.min()) == pytest.approx(-40)
    assert "KEMAR" in repr(kemar)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_a_source_at_the_left_leads_by_0_6_to_0_8_ms_at_every_rate(kemar, rate):
    responses = kemar.at_rate(rate).interpolated(math.pi / 2)
    assert 0.6 < itd_ms(responses, rate) < 0.8
    assert -0.8 < itd_ms(kemar.at_rate(rate).interpolated(-math.pi / 2), rate) < -0.6


def test_a_source_at_the_left_is_louder_at_the_left_ear_above_2_khz(kemar):
    near, far = band_level_db(kemar.interpolated(math.pi / 2), 44_100, 2_000, 16_000)
    assert near - far > 6


def test_the_delay_in_samples_scales_with_the_sample_rate(kemar):
    reference = kemar.onset_delays_s()
    for rate in (16_000, 48_000):
        torch.testing.assert_close(kemar.at_rate(rate).onset_delays_s(), reference, atol=1e-7, rtol=0)
        measured = itd_ms(kemar.at_rate(rate).interpolated(1.0), rate)
        assert measured == pytest.approx(float(itd_ms(kemar.interpolated(1.0), 44_100)), abs=0.03)


@pytest.mark.parametrize(
    ("rate", "error_db"), [(8_000, -40), (16_000, -45), (32_000, -60), (48_000, -65), (96_000, -65)]
)
def test_other_rates_keep_the_measured_spectra_with_their_phases(kemar, rate, error_db):
    frequency = torch.linspace(100, 0.42 * min(rate, 44_100), 60, dtype=torch.float64)

    def spectra(hrirs: HRIRSet) -> torch.Tensor:
        time = torch.arange(hrirs.taps, dtype=torch.float64) / hrirs.sample_rate_hz
        return hrirs.responses.to(torch.complex128) @ torch.exp(-2j * math.pi * time[:, None] * frequency)

    truth = spectra(kemar)
    error = (spectra(kemar.at_rate(rate)) - truth).abs().square().sum((1, 2)) / truth.abs().square().sum((1, 2))
    assert 10 * torch.log10(error.mean()) < error_db


def test_mirrored_directions_mirror_the_ears(kemar):
    azimuth = torch.rand(200, dtype=torch.float64) * 2 * math.pi
    elevation = (torch.rand(200, dtype=torch.float64) - 0.5) * math.pi
    mirrored = kemar.interpolated(-azimuth, elevation).flip(-2)
    torch.testing.assert_close(kemar.interpolated(azimuth, elevation), mirrored, atol=2e-5, rtol=0)


def test_measured_directions_are_reproduced_exactly(kemar):
    torch.testing.assert_close(kemar.interpolated(kemar.azimuth, kemar.elevation), kemar.responses, atol=1e-5, rtol=0)
    assert torch.equal(kemar.nearest(kemar.azimuth, kemar.elevation), kemar.responses)


def test_nearest_takes_the_smallest_angle(kemar):
    azimuth, elevation = math.radians(42.0), math.radians(3.0)
    expected = (kemar.azimuth - math.radians(40)).abs() + kemar.elevation.abs()
    assert torch.equal(kemar.nearest(azimuth, elevation), kemar.responses[expected.argmin()])


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_sweep_of_180_degrees_has_a_monotonic_interaural_time_difference(kemar, rate):
    sweep = torch.deg2rad(torch.arange(-90.0, 90.5, 0.5))
    lag = itd_ms(kemar.at_rate(rate).interpolated(sweep), rate)
    assert (lag.diff() > -1e-4).all()
    assert (lag[10:] - lag[:-10] > 0).all()
    assert lag[0] == pytest.approx(-float(lag[-1]), abs=1e-3)


def test_a_sweep_has_no_dips_between_measured_directions(kemar):
    # Power between two measured neighbours must not fall below the weaker one.
    responses = kemar.interpolated(HORIZON)
    for low, high, allowed_db in ((200, 2000, 0.05), (2000, 5000, 0.05), (5000, 10_000, 0.5), (10_000, 16_000, 1.0)):
        level = band_level_db(responses, 44_100, low, high)
        measured = level[::5]
        floor = torch.minimum(measured, measured.roll(-1, 0))
        between = torch.stack([level.roll(-step, 0)[::5] for step in range(1, 5)]).amin(0)
        assert (floor - between).max() < allowed_db


def test_plain_averaging_of_neighbours_would_dip_so_the_measure_can_fail(kemar):
    ring = kemar.nearest(HORIZON[::5])
    averaged = (ring + ring.roll(-1, 0)) / 2
    level = band_level_db(ring, 44_100, 10_000, 16_000)
    dip = torch.minimum(level, level.roll(-1, 0)) - band_level_db(averaged, 44_100, 10_000, 16_000)
    assert dip.max() > 5


def test_interpolation_comes_closer_than_the_nearest_to_directions_left_out(kemar):
    kept = torch.ones(len(kemar.azimuth), dtype=torch.bool)
    ring = torch.nonzero(kemar.elevation.abs() < 1e-6).squeeze(-1)
    ring = ring[kemar.azimuth[ring].argsort()]
    left_out = ring[1::2]
    kept[left_out] = False
    sparse = HRIRSet(kemar.responses[kept], kemar.azimuth[kept], kemar.elevation[kept], 44_100, "sparse")
    truth = kemar.responses[left_out]
    azimuth, elevation = kemar.azimuth[left_out], kemar.elevation[left_out]
    error = (sparse.interpolated(azimuth, elevation) - truth).square().sum() / truth.square().sum()
    nearest = (sparse.nearest(azimuth, elevation) - truth).square().sum() / truth.square().sum()
    assert error < 0.1
    assert error < nearest / 5


def test_the_path_through_the_hole_below_is_continuous(kemar):
    elevation = torch.deg2rad(torch.arange(-90.0, -30.0, 0.25))
    responses = kemar.interpolated(torch.full_like(elevation, 0.5), elevation)
    assert torch.isfinite(responses).all()
    step = (responses[1:] - responses[:-1]).square().sum((-1, -2)) / responses[1:].square().sum((-1, -2))
    assert step.max() < 0.01
    nadir = kemar.interpolated(torch.tensor([0.0, 1.0, -2.0]), -math.pi / 2)
    torch.testing.assert_close(nadir[0], nadir[1], atol=1e-4, rtol=0)
    torch.testing.assert_close(nadir[0, 0], nadir[0, 1], atol=1e-4, rtol=0)  # below, both ears are alike


def test_diffuse_field_equalisation_flattens_the_average_and_keeps_the_differences(kemar):
    equal = load_hrirs(diffuse_field_equalized=True)
    centres = [250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 14_000.0]
    areas = equal.areas()

    def average_db(hrirs: HRIRSet) -> torch.Tensor:
        bands = []
        for centre in centres:
            level = band_level_db(hrirs.responses, 44_100, centre * 0.8, centre * 1.25)
            bands.append(10 * torch.log10(((10 ** (level / 10)).mean(-1) * areas).sum()))
        return torch.stack(bands)

    assert average_db(kemar).max() - average_db(kemar).min() > 15
    assert average_db(equal).abs().max() < 1.0
    before = band_level_db(kemar.interpolated(1.0), 44_100, 3900, 4100)
    after = band_level_db(equal.interpolated(1.0), 44_100, 3900, 4100)
    assert float(before[0] - before[1]) == pytest.approx(float(after[0] - after[1]), abs=0.2)
    assert float(itd_ms(equal.interpolated(1.0), 44_100)) == pytest.approx(
        float(itd_ms(kemar.interpolated(1.0), 44_100)), abs=0.03
    )


def test_the_equalised_set_has_a_bass_and_its_time_difference():
    equal = load_hrirs(diffuse_field_equalized=True)
    responses = equal.interpolated(HORIZON[::10])
    for low, high in ((20, 60), (60, 120), (120, 250)):
        assert band_level_db(responses, 44_100, low, high).abs().max() < 3
    assert 0.5 < itd_ms(equal.interpolated(math.pi / 2), 44_100, 20, 120) < 0.9


def test_areas_are_those_of_a_sphere(kemar):
    areas = kemar.areas()
    assert float(areas.sum()) == pytest.approx(1)
    centre = (areas.unsqueeze(-1) * to_cartesian(kemar.azimuth, kemar.elevation)).sum(0)
    assert centre.norm() < 0.1  # the hole below -40 degrees weighs on its rim
    overhead = kemar.elevation > math.radians(59)
    assert float(areas[overhead].sum()) == pytest.approx((1 - math.sin(math.radians(55))) / 2, rel=0.1)


def test_other_rates_and_precisions_are_kept_and_never_pile_up(kemar):
    assert kemar.at_rate(16_000) is kemar.at_rate(16_000)
    assert kemar.at_rate(16_000).at_rate(48_000) is kemar.at_rate(48_000)
    assert kemar.at_rate(16_000).at_rate(44_100) is kemar
    assert kemar.to(torch.float64) is kemar.to(torch.float64)
    assert kemar.at_rate(16_000).to(torch.float64).responses.dtype == torch.float64


def test_float32_and_float64_agree(kemar):
    azimuth, elevation = torch.linspace(-3, 3, 50), torch.linspace(-1, 1, 50)
    double = kemar.to(torch.float64).interpolated(azimuth, elevation)
    torch.testing.assert_close(kemar.interpolated(azimuth, elevation).double(), double, atol=2e-5, rtol=0)


def test_a_response_is_differentiable_in_the_direction(kemar):
    azimuth = torch.tensor(0.6123, dtype=torch.float64, requires_grad=True)
    hrirs = kemar.to(torch.float64)
    weights = torch.randn(2, hrirs.taps, dtype=torch.float64)
    (hrirs.interpolated(azimuth, 0.1) * weights).sum().backward()
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (float((hrirs.interpolated(azimuth + s, 0.1) * weights).sum()) for s in (step, -step))
    assert float(azimuth.grad) == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


def test_sets_on_a_circle_interpolate_around_it_and_above():
    azimuth = torch.deg2rad(torch.arange(0, 360, 30.0))
    pulses = torch.zeros(12, 2, 64)
    pulses[:, :, 20] = torch.arange(1.0, 13)[:, None]
    ring = HRIRSet(pulses, azimuth, torch.zeros(12), 48_000, "ring")
    assert float(ring.interpolated(math.radians(45)).sum()) == pytest.approx(2 * 2.5, rel=0.05)
    assert float(ring.interpolated(0.0, math.pi / 2).sum()) == pytest.approx(2 * 6.5, rel=0.02)


def test_too_few_directions_are_one_clear_line():
    lonely = HRIRSet(torch.randn(2, 2, 64), torch.zeros(2), torch.tensor([0.0, 1.0]), 48_000, "two")
    with pytest.raises(DataError, match=r"two: .* 2;", check=coded("too-little")):
        lonely.interpolated(0.0)
    assert lonely.nearest(0.0, 0.9).shape == (2, 64)


def write_sofa(path, change=lambda file: None):
    shutil.copy(KEMAR, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_ears_the_other_way_round_cartesian_positions_and_separate_delays_are_understood(tmp_path, kemar):
    def other_way(file):
        file["Data.IR"][:] = file["Data.IR"][:][:, ::-1]
        file["ReceiverPosition"][:] = file["ReceiverPosition"][:][::-1]
        degrees = np.deg2rad(file["SourcePosition"][:])
        points = to_cartesian(torch.from_numpy(degrees[:, 0]), torch.from_numpy(degrees[:, 1])).numpy()
        file["SourcePosition"][:] = 1.4 * points
        file["SourcePosition"].attrs["Type"] = "cartesian"

    hrirs = load_hrirs(write_sofa(tmp_path / "swapped.sofa", other_way))
    torch.testing.assert_close(hrirs.interpolated(0.8, 0.3), kemar.interpolated(0.8, 0.3), atol=1e-5, rtol=0)

    def delayed(file):
        file["Data.Delay"][:] = np.array([[3.0, 13.0]])

    late = load_hrirs(write_sofa(tmp_path / "late.sofa", delayed))
    shift = itd_ms(late.interpolated(0.0), 44_100)
    assert float(shift) == pytest.approx(10 / 44.1, abs=0.005)


@pytest.mark.heavy
def test_a_padded_end_is_cut_and_a_ringing_one_stays(tmp_path, kemar):
    def longer(by):
        def change(file):
            responses = file["Data.IR"][:]
            del file["Data.IR"]
            file["Data.IR"] = np.concatenate([responses, np.full((*responses.shape[:2], 16_384), by)], axis=-1)

        return change

    padded = load_hrirs(write_sofa(tmp_path / "padded.sofa", longer(0.0)))
    assert padded.taps <= kemar.taps and torch.allclose(padded.responses, kemar.responses[..., : padded.taps])
    assert load_hrirs(write_sofa(tmp_path / "ringing.sofa", longer(1e-2))).taps > 16_000


def nothing(file):
    file["Data.IR"][5] = 0


def not_finite(file):
    file["Data.IR"][5, 0, 3] = np.nan


def other_convention(file):
    file.attrs["SOFAConventions"] = "GeneralFIR"


def no_rate(file):
    file["Data.SamplingRate"][:] = 0


def faces_away(file):
    file["ListenerView"][:] = np.array([[0.0, 1.0, 0.0]])


def no_responses(file):
    del file["Data.IR"]


@pytest.mark.parametrize("damage", [nothing, not_finite, other_convention, no_rate, faces_away, no_responses])
def test_a_damaged_file_is_one_clear_line(tmp_path, damage):
    path = write_sofa(tmp_path / "bad.sofa", damage)
    with pytest.raises(DataError) as caught:
        load_hrirs(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_sofa_file_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"missing\.sofa", check=coded("missing")):
        load_hrirs(tmp_path / "missing.sofa")
    with pytest.raises(DataError, check=coded("missing")):
        load_hrirs(tmp_path)
    text = tmp_path / "text.sofa"
    text.write_text("not an HDF5 file")
    with pytest.raises(DataError, match=r"text\.sofa", check=coded("unreadable")):
        load_hrirs(text)
    whole = KEMAR.read_bytes()
    cut = tmp_path / "cut.sofa"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError) as caught:
        load_hrirs(cut)
    assert "\n" not in str(caught.value)


@pytest.mark.wrong_shapes
def test_a_wrong_rate_or_shape_is_refused(kemar):
    with pytest.raises(ValueError):
        kemar.at_rate(0)
    with pytest.raises(TypeError):
        kemar.to(torch.int16)
    with pytest.raises(ValueError):
        HRIRSet(torch.zeros(3, 1, 4), torch.zeros(3), torch.zeros(3), 48_000)


def test_directions_of_the_set_are_unit_vectors_in_the_projects_convention(kemar):
    left = kemar.responses[(kemar.azimuth - math.pi / 2).abs() + kemar.elevation.abs() < 1e-6][0]
    assert left[0].square().sum() > 4 * left[1].square().sum()
    azimuth, elevation = from_cartesian(to_cartesian(kemar.azimuth, kemar.elevation))
    torch.testing.assert_close(to_cartesian(azimuth, elevation), to_cartesian(kemar.azimuth, kemar.elevation))


def test_numpy_directions_give_numpy_responses(kemar):
    azimuth = np.array([0.1, 0.2])
    assert isinstance(kemar.interpolated(azimuth, 0.0), np.ndarray)
    np.testing.assert_array_equal(kemar.nearest(azimuth), kemar.nearest(torch.from_numpy(azimuth)).numpy())


def test_no_directions_give_no_responses(kemar):
    assert kemar.interpolated(torch.zeros(0)).shape == (0, 2, kemar.taps)
    assert kemar.nearest(torch.zeros(3, 0)).shape == (3, 0, 2, kemar.taps)


def test_difference_over_sum_is_odd_and_says_which_ear_is_earlier(kemar):
    azimuth = torch.tensor([0.0, 0.5, 1.0])
    left, right = (kemar.at_rate(16_000).difference_over_sum(side, torch.zeros(3), 512) for side in (azimuth, -azimuth))
    torch.testing.assert_close(left, -right, rtol=0, atol=1e-5)
    assert float(left[0].abs().max()) < 1e-5
    # (1 - e^-iwt) / (1 + e^-iwt) = i tan(wt / 2): where the head is small against the wave, a delay and no more
    low = left[1:, 8:14].imag  # 250 to 400 Hz
    assert (low > 0).all() and (low[1] > low[0]).all()


def test_every_direction_falls_into_its_triangle():
    # Scattered directions, so that the nearest corner is not always a corner of the triangle around.
    generator = torch.Generator().manual_seed(1)
    corners = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    triangles = SphericalTriangulation((corners / corners.norm(dim=-1, keepdim=True)).numpy())
    points = torch.randn(5000, 3, generator=generator, dtype=torch.float64)
    points = points / points.norm(dim=-1, keepdim=True)
    index, weights = triangles.weights(points)
    mean = (weights.unsqueeze(-1) * triangles.vertices[index]).sum(1)
    torch.testing.assert_close(mean / mean.norm(dim=-1, keepdim=True), points, atol=1e-6, rtol=0)
    assert (weights >= 0).all()
