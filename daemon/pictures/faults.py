"""What reading a file may find wrong, as the decoders say it among themselves."""

EXPORT = "export it as PNG or 16-bit TIFF"
RAW_REMEDY = "install atelierd[raw] to have them developed, or export it as 16-bit TIFF"


class UnsupportedKindError(Exception):
    """A picture may be sound, but of a kind that is not read.

    what: the kind, as in "it is ...".  remedy: what a person can do.
    """

    def __init__(self, what: str, remedy: str = EXPORT) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class CutFileError(Exception):
    """A part of the pixels that a file tells of is not in it."""
