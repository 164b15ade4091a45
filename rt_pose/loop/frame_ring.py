"""A ring of images in shared memory: a camera's thread writes, the loop and the recorder read.

The recorder copies pixels without asking the loop; a generation count for each slot shows whether they were
still there.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.types import CameraInfo

RING_BYTES = 96 << 20
MIN_SLOTS, MAX_SLOTS = 8, 64


class RingDescription(msgspec.Struct):
    """What another process needs to attach to a ring."""

    camera: str
    name: str
    slots: int
    height: int
    width: int
    channels: int
    rate_hz: float | None = None


class FrameRing:
    """Images in shared memory, each with a generation count that is odd while the image is being written."""

    def __init__(self, description: RingDescription, memory: SharedMemory, owner: bool) -> None:
        """Map the memory of a ring; use `create` or `attach`.

        Parameters
        ----------
        description
            Name, number of slots and image shape.
        memory
            One int64 generation for each slot, then the images.
        owner
            Whether `close` removes the memory.
        """
        self.description = description
        self._memory = memory
        self._owner = owner
        self._abandoned = False
        n, shape = description.slots, (description.height, description.width, description.channels)
        self._generations: NDArray[np.int64] | None = np.ndarray(n, np.int64, memory.buf)
        self._images: NDArray[np.uint8] | None = np.ndarray((n, *shape), np.uint8, memory.buf, offset=8 * n)

    @classmethod
    def create(cls, info: CameraInfo) -> FrameRing:
        """Make a ring for a camera's frames, with as many slots as fit into 96 MiB (8 to 64).

        Parameters
        ----------
        info
            The opened camera; its name, frame size, channels and rate are used.

        Returns
        -------
        FrameRing
            The owner of the memory; all generations are 0.
        """
        size = info.height * info.width * info.channels
        slots = int(np.clip(RING_BYTES // size, MIN_SLOTS, MAX_SLOTS))
        memory = SharedMemory(create=True, size=slots * (8 + size))
        description = RingDescription(
            info.name, memory.name, slots, info.height, info.width, info.channels, info.rate_hz
        )
        ring = cls(description, memory, owner=True)
        ring.generations[:] = 0
        return ring

    @classmethod
    def attach(cls, description: RingDescription) -> FrameRing:
        """Map the same ring in another process.

        Only for a process that was spawned beside the owner: it shares the owner's resource tracker, which
        would otherwise remove the memory when this process ends.

        Parameters
        ----------
        description
            That of the owner's ring.

        Returns
        -------
        FrameRing
            Closing it leaves the memory in place.
        """
        return cls(description, SharedMemory(description.name), owner=False)

    @property
    def generations(self) -> NDArray[np.int64]:
        """Generation of each slot, (n,), in place."""
        assert self._generations is not None, "the ring is closed"
        return self._generations

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Images of all slots, (n, H, W, C), in place."""
        assert self._images is not None, "the ring is closed"
        return self._images

    def image(self, slot: int) -> NDArray[np.uint8]:
        """Get the image of a slot.

        Parameters
        ----------
        slot
            Index of the slot.

        Returns
        -------
        NDArray[np.uint8]
            (H, W, C), in place.
        """
        return self.pixels[slot]

    def begin_write(self, slot: int) -> NDArray[np.uint8]:
        """Mark a slot as being written.

        Parameters
        ----------
        slot
            Index of the slot.

        Returns
        -------
        NDArray[np.uint8]
            The slot's image (H, W, C), in place, to write into.
        """
        self.generations[slot] += 1
        return self.image(slot)

    def end_write(self, slot: int) -> int:
        """Mark a slot as completely written.

        Parameters
        ----------
        slot
            Index of the slot.

        Returns
        -------
        int
            Its new generation, which `read` asks for.
        """
        self.generations[slot] += 1
        return int(self.generations[slot])

    def read(self, slot: int, generation: int, into: NDArray[np.uint8]) -> bool:
        """Copy the image of a slot.

        Parameters
        ----------
        slot
            Index of the slot.
        generation
            Generation of the wanted image.
        into
            (H, W, C), written.

        Returns
        -------
        bool
            False where the slot was overwritten before or during the copy; `into` is then undefined.
        """
        if self.generations[slot] != generation:
            return False
        np.copyto(into, self.image(slot))
        return bool(self.generations[slot] == generation)

    def abandon(self) -> None:
        """Keep the memory mapped for a thread that still writes into it; it goes with the process."""
        self._abandoned = True

    def close(self) -> None:
        """Unmap the memory; the owner also removes it."""
        if self._abandoned:
            return
        self._generations = self._images = None
        self._memory.close()
        if self._owner:
            self._memory.unlink()
