"""README and licence of a set of simulated concerts."""

from pathlib import Path

from hearsight.simulation.settings import CLIPS_PER_ROOM, Settings

# ruff: noqa: E501 (rows of a Markdown table cannot be broken)


def readme(settings: Settings, clips: int, font: Path) -> str:
    """Text of the README: content, origin and layout of the set."""
    s = settings
    low, high = s.performers
    chosen = ""
    if s.reverberation_s != Settings.reverberation_s:
        chosen += " --reverberation " + ("0" if s.open_air else "{:g}-{:g}".format(*s.reverberation_s))
    if s.distance_m is not None:
        chosen += " --distance {:g}-{:g}".format(*s.distance_m)
    rooms = (
        "open air: no sound is reflected, and the rooms are only drawn"
        if s.open_air
        else "shoebox rooms with specular image sources up to some hundredths of a second and diffuse reverberation\n"
        "by Eyring's formula after that"
    )
    mapping = (
        "azimuth is in proportion to x,\nthe tangent of the elevation in proportion to y, from +pi/3 (in units of the "
        "cylinder's radius) at the top\nedge to -pi/3 at the bottom: the mapping of PseudoBinaural (section 3.2). "
        "Pixels are square only in a\nsquare picture"
        if s.projection == "cylinder"
        else "a plain perspective with square pixels"
    )
    return f"""# Simulated concerts

{clips} clips of {s.seconds:g} s, made by `hearsight simulate` and nothing else: generated music, simulated rooms, drawn
pictures. Nothing was recorded or filmed, and nobody in the pictures exists.

    hearsight simulate FOLDER --clips {clips} --seed {s.seed} --seconds {s.seconds:g} --performers {low}-{high} \\
        --size {s.width}x{s.height} --fps {s.frame_rate_hz} --rate {s.sample_rate_hz} --projection {s.projection}{chosen}

(with the sound font {font.name}) makes the same bytes again, with the same versions of the libraries.

| where | what |
| --- | --- |
| `videos/000001.mp4` | the picture, {s.width}x{s.height}, {s.frame_rate_hz} per second, with both ears beside it |
| `binaural_audios/000001.wav` | what the ears hear, left first, {s.sample_rate_hz} Hz, 16 bits |
| `splits/split1/train.txt` ... | five splits into train, val and test that share no room ({CLIPS_PER_ROOM} clips per room) |
| `stems/000001/1_cello.dry.wav` | each performer alone without room, on a scale of its own (`dry_scale` gives that at 1 m) |
| `stems/000001/1_cello.ears.wav` | each performer as the two ears hear it |
| `stems/000001/response.wav` | impulse response from the loudest player to both ears, the head as at the start; time 0 is the emission |
| `stems/000001/noise.wav` | the noise floor. All ears stems and it add up to the mix exactly, as integers |
| `depth/000001/0000.png` | at 0, 1, 2 ... s: 16 bits, millimetres **along the ray** through each pixel's centre (not z) |
| `scenes/000001.json` | every truth: room, materials, reverberation, notes, positions over time, boxes |
| `simulation.json` | the settings |

The picture is {s.field_of_view_deg:g} degrees wide; {mapping}.

Directions: azimuth positive to the left, elevation positive up, from the listener's head as it is turned at that moment.
`x` and `y` of a track run from 0 to 1 from the left and top edge; a performer may leave the picture when the head pans.
`to_head` is the rotation from room axes to head axes (ahead, left, up), row by row, at each frame. Lengths are in
metres, times in seconds; frame k shows the moment k / {s.frame_rate_hz} s. A note is onset, duration, MIDI pitch (drums:
General MIDI key), velocity. `rests_s` are intervals in which a performer begins no note.

What is simplified: {rooms}; sources that radiate alike in all directions; KEMAR's ears (MIT, 1995); a ukulele that is
a nylon-strung guitar in the ukulele's range, General MIDI having none; people made of simple solids.
"""


LICENCE = """# Licence of this set

The makers of hearsight claim no rights in the pictures, the music and the truths of this set: use them as you like
(CC0 1.0). Two parts of others are in the sound:

- The instruments are those of the sound font that `simulation.json` names. The default, TimGM6mb by Tim Brechbill, is
  under the GNU General Public License 2; see whoever made another one for its terms.
- The ears are the KEMAR measurements of Bill Gardner and Keith Martin, MIT Media Lab (1995), free to use with citation.

Rooms use the absorption coefficients that pyroomacoustics (MIT licence) collects, from Vorlaender, Auralization (2008).
"""
