"""Commands to exit codes. The only place that prints, and that ends the process.

Each command imports what it needs when it runs: `status` must answer in half a second.
"""

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon import __version__
from daemon.errors import AlreadyRunningError, AtelierError, ConfigError, ExitCode

if TYPE_CHECKING:
    from daemon.config import Config

app = typer.Typer(
    name="atelierd",
    help="A folder that paints: drop a photograph in, find the picture in the outbox.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights_app = typer.Typer(help="The VGG-19 weights: where they are, and getting others.")
app.add_typer(weights_app, name="weights", invoke_without_command=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """The command `atelierd`."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes long
    try:
        app()
    except ConfigError as error:
        say_error(f"the configuration is wrong:\n{error}")
        sys.exit(ExitCode.CONFIG)
    except AlreadyRunningError as error:
        say_error(str(error))
        sys.exit(ExitCode.ALREADY_RUNNING)
    except AtelierError as error:
        say_error(str(error))
        sys.exit(ExitCode.JOB_FAILED)


def say_error(text: str) -> None:
    """A message for the person at the terminal."""
    print(f"atelierd: {text}", file=sys.stderr)


def show_version(wanted: bool) -> None:
    """Prints the version and ends."""
    if wanted:
        print(f"atelierd {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The configuration; else $ATELIERD_CONFIG, ./config.yaml or /etc/atelierd/.",
            dir_okay=False,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=show_version)
    ] = False,
) -> None:
    """A folder that paints."""
    context.obj = config


def configured(context: typer.Context) -> tuple["Config", Path]:
    """The configuration in force and its file; raises ConfigError."""
    from daemon.config import load_config

    path = config_file(context)
    return load_config(path), path


def config_file(context: typer.Context) -> Path:
    """The configuration file in force; raises ConfigError."""
    from daemon.config import find_config

    return find_config(context.find_root().obj, os.environ)


@app.command()
def run(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Take what is in the inbox, finish it, and exit.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(metavar="HH:MM", help="Stop at that time; what is left waits for the next."),
    ] = None,
) -> None:
    """Watch the inbox and paint what is dropped there, until stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.FINE))  # until the service heeds it
    from daemon.logs import start_logging
    from daemon.service import run_service
    from daemon.status.progress import service_progress

    path = config_file(context)
    config, devices = read_anew(path)
    start_logging(config)
    end = end_of(until, config)
    plain = once and config.log.format == "text"  # among JSON nothing else may stand
    with service_progress(plain=plain) as on_change:
        code = run_service(
            config, devices, lambda: read_anew(path), once=once, until=end, on_change=on_change
        )
    raise typer.Exit(code)


def read_anew(path: Path) -> tuple["Config", list[str]]:
    """The configuration in a file and the devices it means; raises ConfigError."""
    from daemon.config import check_guarded, load_config
    from daemon.worker.devices import resolve_devices

    config = load_config(path)
    check_guarded(config, path)
    return config, resolve_devices(config.devices, str(path))


def end_of(until: str | None, config: "Config") -> datetime | None:
    """The next moment the clock shows `until`; raises BadParameter if it is no time."""
    from daemon.schedule import find_zone, next_time

    if until is None:
        return None
    try:
        return next_time(until, find_zone(config.schedule.time_zone), datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(f"--until {error}") from error


@app.command()
def status(
    context: typer.Context,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing, until Ctrl-C.")] = False,
) -> None:
    """Show the queue, the running jobs with step, loss and ETA, recent results and health."""
    from daemon.status.report import gather
    from daemon.status.show import print_status, watch_status

    config, _ = configured(context)
    if as_json:
        print(json.dumps(gather(config), indent=2))
    elif watch:
        watch_status(lambda: gather(config))
    else:
        print_status(gather(config))


@app.command()
def presets(context: typer.Context, as_json: AsJson = False) -> None:
    """List the presets, and what is wrong with those that are wrong."""
    from daemon.presets import load_presets
    from daemon.status.show import print_presets, shelf_report

    config, _ = configured(context)
    shelf = load_presets(config.presets, config.schedule.bulk_folder)
    if as_json:
        print(json.dumps(shelf_report(shelf), indent=2))
    else:
        print_presets(shelf)


@app.command()
def stylize(
    context: typer.Context,
    picture: Annotated[Path, typer.Argument(help="The picture to paint.")],
    preset: Annotated[str, typer.Option(help="The preset to paint it with.")],
    out: Annotated[
        Path | None, typer.Option(help="The result; by default PICTURE-PRESET beside you.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the preset."),
    ] = None,
    proof: Annotated[
        bool,
        typer.Option("--proof", help="Paint it at 512 px, and say how long the full one takes."),
    ] = False,
) -> None:
    """Paint one picture now, without the queue."""
    from daemon.single import paint_one
    from daemon.status.progress import single_progress
    from daemon.worker.devices import resolve_devices

    config, path = configured(context)
    device = resolve_devices(config.devices, str(path))[0]
    with single_progress(picture.name) as on_progress:
        result = paint_one(
            config, device, picture, preset, settings or [],
            proof=proof, out=out, on_progress=on_progress,
        )  # fmt: skip
    for warning in result.warnings:
        say_error(f"warning: {warning}")
    print(result.path)
    if result.forecast:
        print(result.forecast)


@app.command()
def retry(
    context: typer.Context,
    jobs: Annotated[list[str] | None, typer.Argument(help="Job ids, or their beginnings.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every failed job.")] = False,
) -> None:
    """Put the pictures of failed or cancelled jobs back into the inbox, to be painted anew."""
    from daemon.again import retry_jobs

    config, _ = configured(context)
    if not jobs and not failed:
        raise typer.BadParameter("name jobs, or use --failed")
    on_each(jobs or [], retry_jobs(config, jobs or [], failed=failed))


@app.command()
def cancel(
    context: typer.Context,
    jobs: Annotated[list[str], typer.Argument(help="Job ids, or their beginnings.")],
) -> None:
    """Cancel waiting or running jobs; their pictures go to the outbox's `failed` folder."""
    from daemon.again import cancel_jobs

    config, _ = configured(context)
    on_each(jobs, cancel_jobs(config, jobs))


@app.command()
def pause(context: typer.Context) -> None:
    """Let nothing run until `resume`: running jobs leave checkpoints, and their workers end."""
    from daemon.ledger.store import utc_now
    from daemon.pause import pause as pause_painting
    from daemon.pause import paused_since

    config, _ = configured(context)
    if since := paused_since(config.state):
        print(f"painting has been paused since {since}")
        return
    pause_painting(config.state, utc_now())
    print("painting is paused; pictures are still taken in. Go on with: atelierd resume")


@app.command()
def resume(context: typer.Context) -> None:
    """Let jobs run again after `pause`."""
    from daemon.pause import resume as resume_painting

    config, _ = configured(context)
    print("painting goes on" if resume_painting(config.state) else "painting was not paused")


def on_each(asked: list[str], said: list[tuple[str, str]]) -> None:
    """Prints what became of each job asked for; the exit code is 1 if one was refused."""
    refused = False
    for line, fault in said:
        if fault:
            refused = True
            say_error(fault)
        else:
            print(line)
    if not said and not asked:
        print("no failed jobs")
    if refused:
        raise typer.Exit(ExitCode.JOB_FAILED)


@app.command()
def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check config, folders, presets, weights, machine and service; say what to mend."""
    from dataclasses import asdict

    from daemon.doctor import examine
    from daemon.status.show import print_findings

    config, path = configured(context)
    findings = examine(config, path)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_findings(findings)
    if any(not finding.ok for finding in findings):
        raise typer.Exit(ExitCode.JOB_FAILED)


@app.command("install-service")
def install_service(
    context: typer.Context,
    system: Annotated[
        bool, typer.Option("--system", help="For the whole machine, as a user of its own.")
    ] = False,
    user: Annotated[bool, typer.Option("--user", help="For yourself, without root.")] = False,
    nightly: Annotated[
        bool, typer.Option("--nightly", help="Paint at night only, by a timer.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the files, and write nothing.")
    ] = False,
) -> None:
    """Make atelierd a service of systemd, and say what to type next."""
    from daemon.config import check_guarded
    from daemon.install.render import Order, Scope, running_program
    from daemon.install.write import next_steps, notices, service_files, write_files

    if system == user:
        raise typer.BadParameter("say either --system or --user")
    config, path = configured(context)
    check_guarded(config, path)
    order = Order(Scope.SYSTEM if system else Scope.USER, nightly, config, path, running_program())
    wanted = service_files(order)
    done = [] if dry_run else write_files(order, wanted)
    for file in wanted if dry_run else []:
        print(f"--- {file.path}\n{file.content}")
    for said in done:
        print(f"{said.how:<9}  {said.path}" + (f"  (before: {said.kept})" if said.kept else ""))
    for notice in notices(order):
        say_error(f"note: {notice}")
    if done:
        print("next, type:", *next_steps(order, done), sep="\n  ")


@weights_app.callback()
def weights(context: typer.Context) -> None:
    """Show where the weights are and their sha256."""
    if context.invoked_subcommand is not None:
        return
    from daemon.engine.errors import WeightsError
    from daemon.engine.weights import NAMES, checked_sha256, locate

    config, _ = configured(context)
    for name in NAMES:
        used = "used" if name == config.weights else "    "
        try:
            path = locate(name, config.engine_folder)
            print(f"{name:<12} {used}  sha256 {checked_sha256(name, path)}  {path}")
        except WeightsError as error:
            print(f"{name:<12} {used}  {error}")


@weights_app.command("fetch")
def fetch_weights(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which: torchvision.")],
) -> None:
    """Get another set of weights from the internet."""
    if name != "torchvision":
        raise typer.BadParameter(f"{name!r} cannot be fetched; only torchvision can")
    from daemon.engine.errors import WeightsError
    from daemon.engine.kernels import fetch_torchvision

    config, _ = configured(context)
    try:
        print(fetch_torchvision(config.engine_folder))
    except WeightsError as error:
        say_error(str(error))
        raise typer.Exit(ExitCode.JOB_FAILED) from error
