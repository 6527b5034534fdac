"""Classes of instruments that the `sounding-objects` model classifies."""

SOUND_CLASSES: tuple[str, ...] = (
    "free reed",  # accordion, harmonica
    "guitar",  # nylon and steel strings
    "electric guitar",  # clean, muted, overdriven, jazz
    "banjo",  # and mandolin, ukulele
    "bass",  # double bass plucked and bowed, electric basses
    "violin",  # and viola, high string ensembles
    "cello",
    "harp",
    "piano",  # all pianos, electric ones too
    "organ",
    "mallets",  # marimba, vibraphone, xylophone, glockenspiel, steel drum
    "drums",  # all kits, hand percussion, brushes
    "flute",  # flute, recorder, piccolo, pan flute
    "reeds",  # clarinet, oboe, English horn, bassoon
    "saxophone",
    "trumpet",  # open and muted
    "low brass",  # trombone, horn, tuba
    "voice",  # speech, singing, choirs
    "other",  # noise, crowds, wind, traffic, applause, hum, footsteps: no instrument
)
"""All classes in the order of the network's outputs; `other` comes last."""
