"""A page over folders and a ledger of the test's own; nothing listens, and no service runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from daemon.job import Draft, Outputs, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.page.app import make_app, make_site
from daemon.page.site import Site
from daemon.settings.config import Config
from daemon.settings.page import PageSettings
from tests.support.atelier import draw_style

HOST = "http://127.0.0.1:8470"
SECRET = "an open sesame that nobody guesses"
NUMBER = "0123456789abcdef" * 2


@dataclass
class Desk:
    """The page's parts, and what fills its ledger. jobs: how many there are."""

    config: Config
    site: Site
    client: TestClient
    jobs: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        name: str = "photo.jpg",
        *,
        preset: str = "quick",
        path: str = "",
        runs_on: str = "",
    ) -> str:
        """A waiting job; its id."""
        self.jobs += 1
        job, picture = f"{self.jobs:04}{NUMBER}"[:32], f"{self.jobs:04}{NUMBER[::-1]}"[:32]
        ledger = Ledger(self.config.ledger_path)
        ledger.add_picture(picture, Path(path or f"{preset}/{name}"))
        recipe = {"size": 64, "beta": 30.0}
        draft = Draft(job, preset, Path(name), recipe, (), work=1000, runs_on=runs_on)
        with_jobs = {"sha256": "ab" * 32, "size": 10, "width_px": 96, "height_px": 64}
        ledger.admit(picture, **with_jobs, drafts=[draft])
        ledger.close()
        return job

    def end(self, job: str, verdict: State = State.DONE, reason: str = "", **outputs: str) -> None:
        """Ends a waiting job, which must be the first in line."""
        ledger = Ledger(self.config.ledger_path)
        claimed = ledger.claim_job("test")
        assert claimed is not None and claimed.id == job
        done = Done(width_px=64, height_px=43, seconds=2.0) if verdict is State.DONE else None
        ledger.finish_job(job, "test", verdict, outcome=done, reason=reason)
        made = {"result": f"quick/{claimed.below}"} if verdict is State.DONE else {"reason": "x"}
        ledger.plan_outputs(job, replace(Outputs(record="r.json"), **(made | outputs)))
        ledger.publish_job(job)
        ledger.close()

    def token(self) -> str:
        """The CSRF token of the client's session."""
        return self.client.get("/token").text

    def post(self, path: str, content: bytes = b"", **headers: str) -> Any:
        """A change as the page's own script asks for it."""
        usual = {
            "Origin": HOST,
            "X-CSRF-Token": self.token(),
            "Accept": "application/json",
            **self.headers,
        }
        return self.client.post(path, content=content, headers=usual | headers)


@pytest.fixture
def make_desk(config: Config) -> Iterator[Callable[..., Desk]]:
    """Makes the page with settings of its own."""
    sites: list[Site] = []

    def make(**settings: Any) -> Desk:
        draw_style(config.presets / "quick.png")
        draw_style(config.presets / "slow.png")
        site = make_site(config, PageSettings(**settings))
        sites.append(site)
        client = TestClient(make_app(site), base_url=HOST, follow_redirects=False)
        return Desk(config, site, client)

    yield make
    for site in sites:
        site.scaler.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """The page as it is without any settings: open to whoever is on this machine."""
    return make_desk()


@pytest.fixture
def locked(make_desk: Callable[..., Desk], tmp_path: Path) -> Desk:
    """The page with a password."""
    secret = tmp_path / "password"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    return make_desk(password_file=str(secret), hosts=["studio.example"])
