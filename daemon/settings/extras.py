"""Packages that only some recipes need: one that is missing is told before anything is queued."""

from importlib.util import find_spec

from daemon.pictures.form import JobRecipe
from daemon.settings.yamlfile import Document


def check_extras(recipe: JobRecipe, document: Document) -> None:
    """Notes a fault for each field of a recipe that asks for a package which is not there.

    Nothing is loaded: what it costs the worker is not to cost the service.
    """
    if recipe.faces and find_spec("cv2") is None:
        document.fault(
            "needs OpenCV to find faces, which is not there: install atelierd[faces] where "
            "atelierd is and start it again, or leave `faces` out",
            ("faces",),
        )
