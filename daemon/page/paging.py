"""Long lists in pages, by a number in the address."""

from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True)
class Paging:
    """One page of a list. number: from 1.  newer, older: addresses of the pages beside it."""

    number: int
    pages: int
    size: int
    total: int
    newer: str = ""
    older: str = ""

    @property
    def offset(self) -> int:
        """How many come before this page."""
        return (self.number - 1) * self.size


def paging_of(request: Request, total: int, size: int) -> Paging:
    """The page that a request names; the nearest there is for a number that is none."""
    pages = max(1, -(-total // size))
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    number = min(max(number, 1), pages)

    def address(wanted: int) -> str:
        if not 1 <= wanted <= pages:
            return ""
        url = request.url.remove_query_params(["part", "said"])
        url = url.include_query_params(page=wanted)
        return f"{url.path}?{url.query}"

    return Paging(number, pages, size, total, address(number - 1), address(number + 1))
