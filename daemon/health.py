"""What is wrong now, said once when it begins and once when it ends."""

from dataclasses import dataclass, field

from loguru import logger


@dataclass
class Health:
    """What is wrong now, by part; said once when it begins and once when it ends."""

    troubles: dict[str, str] = field(default_factory=dict)

    def bad(self, part: str, error: Exception) -> None:
        """Notes a trouble."""
        if self.troubles.get(part) != str(error):
            self.troubles[part] = str(error)
            logger.error("{}: {}", part, error)

    def good(self, part: str) -> None:
        """Notes that a part works."""
        if self.troubles.pop(part, None) is not None:
            logger.info("{}: works again", part)
