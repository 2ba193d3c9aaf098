"""What can go wrong in the engine, classed by what the caller should do about it."""


class EngineError(Exception):
    """Anything the engine reports on purpose; the message says what, where and what to do."""


class PictureError(EngineError):
    """A picture or style image cannot be used. Trying again with the same bytes never helps."""


class UnfinishedPictureError(PictureError):
    """The bytes do not decode to the end: the file is damaged, or still being written."""


class WeightsError(EngineError):
    """The network's weights are missing or are not the ones they claim to be."""


class DeviceError(EngineError):
    """The device asked for is not there, or cannot be used now."""


class DivergedError(EngineError):
    """The loss was never a finite number, so that nothing was painted."""


class OutOfMemoryError(EngineError):
    """The device or the host has not enough memory for this picture at this size."""


class TooLargeError(EngineError):
    """A picture needs far more memory than it may take: nothing of it was begun."""


class CheckpointError(EngineError):
    """A checkpoint is of another painting, or damaged; the painting can begin anew."""
