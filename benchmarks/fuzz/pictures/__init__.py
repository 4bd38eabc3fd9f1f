"""The corpus of bad pictures: made in memory, the same each time, each with a name."""

from fuzz.pictures.bombs import bombs
from fuzz.pictures.damage import damaged
from fuzz.pictures.sound import Picture, sound

__all__ = ["Picture", "bombs", "damaged", "sound"]
