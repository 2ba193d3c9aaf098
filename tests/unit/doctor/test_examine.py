"""Checks really tried, with what to mend."""

from pathlib import Path

import pytest

from daemon.doctor import examine
from daemon.settings.config import Config
from daemon.settings.hooks import Hooks
from daemon.settings.last_good import LastGood, write_last_good
from daemon.status.report import Finding


def wrong(config: Config) -> dict[str, str]:
    findings: list[Finding] = examine(config, Path("config.yaml"))
    return {finding.what: finding.detail for finding in findings if not finding.ok}


def test_sound_surroundings_need_no_mending_and_nothing_is_left(config: Config) -> None:
    for folder in (config.inbox, config.outbox, config.state):
        folder.mkdir()
    assert wrong(config) == {}
    assert all(list(folder.iterdir()) == [] for folder in (config.inbox, config.outbox))


def test_doctor_makes_nothing_and_says_what_the_service_will_make(config: Config) -> None:
    assert wrong(config) == {}
    told = {finding.what: finding.detail for finding in examine(config, Path("config.yaml"))}
    for name in ("inbox", "outbox", "state"):
        assert "not there yet; the service makes it" in told[name]
    assert [path.name for path in config.presets.parent.iterdir()] == ["presets"]


def test_folder_that_nobody_here_can_make_is_told(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_, **__: False)  # root may everywhere
    found = wrong(config)
    assert all("may not make it in" in found[name] for name in ("inbox", "outbox", "state"))


def test_check_that_may_not_look_is_a_finding_and_the_others_go_on(
    config: Config, closed: Path
) -> None:
    folders = {name: closed / name for name in ("inbox", "outbox", "presets", "state")}
    found = wrong(config.model_copy(update=folders))
    for name in ("inbox", "outbox", "presets", "state"):
        assert str(closed / name) in found[name] and "Permission denied" in found[name]
    assert {"holder", "ledger", "user"} <= set(found) and "memory" not in found


@pytest.mark.parametrize("name", ["inbox", "outbox", "state"])
def test_folder_that_cannot_be_written_is_named(config: Config, name: str) -> None:
    getattr(config, name).write_text("a file")
    assert str(getattr(config, name)) in wrong(config)[name]


def test_broken_preset_is_told_with_its_line(config: Config) -> None:
    (config.presets / "it.yaml").write_text("styles: [{image: gone.png}]\n")
    assert "it.yaml:1: styles[0].image" in wrong(config)["presets"]


def test_presets_folder_that_is_away_is_told(config: Config) -> None:
    config.presets.rename(config.presets.with_name("away"))
    assert f"presets folder {config.presets} is unavailable" in wrong(config)["presets"]
    config.presets.mkdir()
    write_last_good(config.state, config.presets, {"wave": LastGood("wave.png", {}, ())})
    assert "is empty, and held wave" in wrong(config)["presets"]


def test_faulty_preset_is_told_with_what_is_used_in_its_place(config: Config) -> None:
    (config.presets / "it.yaml").write_text("styles: []\n")
    since = "2026-01-01T00:00:00+00:00"
    kept = LastGood("it.yaml", {}, (), since, "it.yaml:1: is wrong")
    write_last_good(config.state, config.presets, {"it": kept})
    details = [one.detail for one in examine(config, Path("config.yaml")) if not one.ok]
    assert any("it.yaml:1: styles" in detail for detail in details)
    assert any(f"preset it is faulty since {since}" in detail for detail in details)


def test_hook_whose_program_is_not_there_is_told(config: Config) -> None:
    hooks = Hooks.model_validate(
        {
            "on_done": [{"command": ["/gone/notify"]}, {"command": ["sh"]}],
            "on_failed": {"command": ["no-such-program"]},
            "on_idle": {"url": "http://127.0.0.1:9"},
        }
    )
    assert wrong(config.model_copy(update={"hooks": hooks})) == {
        "hooks: on_done": "/gone/notify is no program that can be run here",
        "hooks: on_failed": "no-such-program is no program that can be run here",
    }


def test_default_preset_that_is_not_there_is_told(config: Config) -> None:
    assert "'monet'" in wrong(config.model_copy(update={"default_preset": "monet"}))["presets"]


def test_missing_weights_name_the_command_that_gets_them(config: Config) -> None:
    found = wrong(config.model_copy(update={"weights": "torchvision"}))
    assert "atelierd weights fetch torchvision" in found["weights"]


def test_damaged_ledger_is_told(config: Config) -> None:
    config.state.mkdir()
    config.ledger_path.write_bytes(b"no database" * 1000)
    assert "ledger" in wrong(config)
