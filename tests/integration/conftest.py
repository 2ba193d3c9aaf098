from pathlib import Path

import pytest

from tests.support.atelier import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """Folders and a quick preset of the test's own; nothing runs yet."""
    return Studio(tmp_path / "atelier")
