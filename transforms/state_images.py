"""Images of state in a worker's memory, so that it need not be read at each bundle.

The state carries a token, which is another one after each write. An image that carries the same is
that of the state; one of a bundle that failed, or of another worker, is not, and is dropped.
"""

from __future__ import annotations

import time
from typing import ClassVar, Generic, TypeVar

__all__ = ["StateImages"]

FORGET_AFTER, LOOK_EVERY = 600.0, 60.0
"""Seconds after which an image that no bundle asked for is dropped; how often that is looked at."""

Image = TypeVar("Image")


class StateImages(Generic[Image]):
    """What this process remembers of keys, for all threads and copies of a DoFn.

    A subclass says `_all = {}`, or shares its images with others.

    Args:
        owner: tells one transform's images from another's.
    """

    _all: ClassVar[dict] = {}
    _only: ClassVar[set[str]] = set()
    _looked: ClassVar[float] = 0.0

    def __init__(self, owner: str) -> None:
        self._owner = owner

    def keep(self, *, only: bool) -> None:
        """Says whether the images of this owner are all there is, so that none may be dropped."""
        if only:
            self._only.add(self._owner)
        else:
            self._only.discard(self._owner)

    def take(self, key: int, token: str) -> Image | None:
        """The image of a key, if it is that of the state: nobody else gets it until it is put."""
        found = self._all.pop((self._owner, key), None)
        # A bundle that failed after its image had changed, or another worker's, has another token.
        return found[1] if found is not None and found[0] == token else None

    def put(self, key: int, token: str, image: Image) -> None:
        """Leaves an image for the next bundle."""
        self._all[self._owner, key] = (token, image, time.monotonic())

    @classmethod
    def drop_unused(cls) -> None:
        """Drops images that nobody asked for: their keys have moved to another worker."""
        now = time.monotonic()
        if now - cls._looked < LOOK_EVERY:
            return
        cls._looked = now
        for key, (_, _, used) in list(cls._all.items()):
            unused = now - used > FORGET_AFTER or cls._outgrown(key[0])
            if unused and key[0] not in cls._only:
                cls._all.pop(key, None)
        cls._dropped({owner for owner, _ in list(cls._all)})

    @classmethod
    def _outgrown(cls, owner: str) -> bool:  # noqa: ARG003 - for subclasses
        """Whether all images of an owner are to be made anew."""
        return False

    @classmethod
    def _dropped(cls, owners: set[str]) -> None:
        """Is told which owners still have images."""
