"""Commands to exit codes. The only place that prints, and that ends the process.

Each command imports what it needs when it runs: `status` must answer in half a second.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.commands.parser import Command, make_parser
from daemon.errors import (
    AlreadyRunningError,
    AtelierError,
    ConfigError,
    ExitCode,
    Fault,
    StoppedError,
)
from daemon.host import access, files, streams
from daemon.host.start import prepare_process

if TYPE_CHECKING:
    from daemon.install.render import Installation, Scope
    from daemon.settings.address import Address
    from daemon.settings.config import Config


class UsageError(Exception):
    """What was typed is wrong in a way that only the command itself can tell."""


def main() -> None:
    """The command `atelierd`."""
    prepare_process()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes long
    streams.prepare()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # while all this was loaded
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(answer(sys.argv[1:]))


def answer(words: Sequence[str]) -> int:
    """Does what was typed after `atelierd`; the exit code. Raises SystemExit for wrong usage."""
    try:
        try:
            return obey(words)
        finally:
            sys.stdout.flush()
    except (AtelierError, OSError) as error:
        text, code = ending(error)
        return say_error(text, code) if text else code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def obey(words: Sequence[str]) -> int:
    """The exit code of the command in `words`, or whatever it raised."""
    parser = make_parser(COMMANDS)
    options = vars(parser.parse_args(words))
    command: Command | None = options.pop("command")
    if command is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    try:
        return command(**options)
    except UsageError as error:
        parser.error(str(error))


def ending(error: AtelierError | OSError) -> tuple[str, ExitCode]:
    """What to say of an error that ended a command, and the exit code that goes with it."""
    match error:
        case ConfigError():
            return f"the configuration is wrong:\n{error}", ExitCode.CONFIG
        case AlreadyRunningError():
            return str(error), ExitCode.ALREADY_RUNNING
        case StoppedError():
            return str(error), ExitCode.INTERRUPTED
        case streams.OutputError(__cause__=BrokenPipeError()):  # `atelierd status | head -1`
            return "", ExitCode.JOB_FAILED
        case OSError():  # the last resort: where more is known, it was said there
            return access.explain(error), ExitCode.JOB_FAILED
        case _:
            return str(error), ExitCode.JOB_FAILED


def say_error(text: str, code: ExitCode = ExitCode.FINE) -> ExitCode:
    """A message for the person at the terminal; returns the exit code that goes with it."""
    lines = [files.printable(line) for line in f"atelierd: {text}".split("\n")]
    print(*lines, sep="\n", file=sys.stderr)
    return code


def tell(told: Any, print_text: Callable[[Any], None], *, as_json: bool) -> None:
    """Prints what a command found, as JSON or as its text."""
    from daemon.status.show import print_json

    (print_json if as_json else print_text)(told)


def configured(config: Path | None) -> tuple["Config", Path]:
    """The configuration in force and its file; raises ConfigError."""
    from daemon.settings.config import find_config, load_config

    path = find_config(config, os.environ)
    return load_config(path), path


def run(config: Path | None, *, once: bool, until: str | None) -> int:
    """Watch the inbox and paint what is dropped there, until stopped."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until the service heeds them
        signal.signal(number, lambda *_: sys.exit(ExitCode.FINE))
    from loguru import logger

    from daemon.commands.result_file import sweep_work_folders
    from daemon.service.main import Service
    from daemon.settings.config import find_config
    from daemon.status.logs import catch_strays, start_logging
    from daemon.status.progress import no_progress, service_progress

    path = find_config(config, os.environ)
    settings, devices = read_anew(path)
    end = end_of(until, settings)
    start_logging(settings)
    catch_strays()
    sweep_work_folders()
    as_json = settings.log.format == "json"  # among JSON nothing else may stand
    try:
        with no_progress() if as_json else service_progress(plain=once) as on_change:
            reread = partial(read_anew, path)
            service = Service(settings, devices, reread, once=once, until=end, on_change=on_change)
            code = service.run()
    except (AtelierError, OSError) as error:
        if not as_json:
            raise
        text, code = ending(error)
        logger.error("{}", text)
    leave_hanging(code)
    return code


def leave_hanging(code: int) -> None:
    """Ends the program here if a thread hangs in a share: the interpreter would wait for it."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def read_anew(path: Path) -> tuple["Config", list[str]]:
    """The configuration in a file and the devices it means; raises ConfigError."""
    from daemon.pool.devices import resolve_devices
    from daemon.settings.config import check_guarded, load_config
    from daemon.settings.fleet import check_fleet

    config = load_config(path)
    check_guarded(config, path)
    if config.fleet is not None:
        check_fleet(config.fleet.place(config.state), path)
    return config, resolve_devices(config.devices, str(path))


def painting_device(config: "Config", path: Path) -> str:
    """The device on which a command itself paints; raises ConfigError if there is none."""
    from daemon.pool.devices import resolve_devices

    devices = resolve_devices(config.devices, str(path))
    if not devices:
        told = "is none, so nothing can be painted here; drop the picture into the inbox"
        raise ConfigError([Fault(str(path), 1, "devices", told)])
    return devices[0]


def end_of(until: str | None, config: "Config") -> datetime | None:
    """The next moment the clock shows `until`; raises UsageError if it is no time."""
    from daemon.settings.windows import find_zone, next_time

    if until is None:
        return None
    try:
        return next_time(until, find_zone(config.schedule.time_zone), datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--until {error}") from error


def status(config: Path | None, *, as_json: bool, watch: bool) -> int:
    """Show the queue, the running jobs with step, loss and ETA, recent results and health."""
    if not watch:
        gc.disable()  # looking for garbage, then and at the end, is a seventh of so short a life
    try:
        from daemon.status.report import gather
        from daemon.status.show import print_status, watch_status

        settings, _ = configured(config)
        if watch:
            watch_status(lambda: gather(settings), as_json=as_json)
        else:
            tell(gather(settings), print_status, as_json=as_json)
    except KeyboardInterrupt:  # how watching ends
        if not watch:
            raise
    gc.freeze()
    return ExitCode.FINE


def presets(
    config: Path | None,
    *,
    name: str | None,
    as_json: bool,
    sheet: Path | None = None,
    size: int | None = None,
    mask: Path | None = None,
) -> int:
    """List the presets, and what is wrong with those that are wrong; or report on one."""
    from daemon.commands.preset_report import report_on
    from daemon.settings.presets import shelf_in_use
    from daemon.status.show import print_presets, shelf_report
    from daemon.status.show_preset import print_preset

    if (sheet is None and (size or mask)) or (sheet is not None and (as_json or name)):
        raise UsageError("--size and --mask are for --sheet PICTURE; --json and a NAME are not")
    if sheet is not None:
        return preset_sheet(config, sheet, size, mask)
    settings, _ = configured(config)
    shelf = shelf_in_use(settings.presets, settings.inbox_folders, settings.state)
    if name is not None:
        told = report_on(settings, shelf, name)
        tell(told, print_preset, as_json=as_json)
        return ExitCode.JOB_FAILED if told["faults"] else ExitCode.FINE
    tell(shelf_report(shelf) if as_json else shelf, print_presets, as_json=as_json)
    return ExitCode.FINE


def preset_sheet(config: Path | None, picture: Path, size: int | None, mask: Path | None) -> int:
    """Paint one picture in every preset, and lay a sheet of them."""
    from loguru import logger

    from daemon.commands.preset_sheet import paint_sheet
    from daemon.status.progress import single_progress

    logger.remove()
    in_force, path = configured(config)
    device = painting_device(in_force, path)
    made = paint_sheet(in_force, device, picture, size, single_progress, mask)
    for name, why in made.failed.items():
        say_error(f"{name}: {why}", ExitCode.JOB_FAILED)
    streams.print_path(made.path)
    return ExitCode.JOB_FAILED if made.failed else ExitCode.FINE


def stylize(
    config: Path | None,
    *,
    picture: Path,
    preset: str | None,
    like: Path | None,
    out: Path | None,
    settings: list[str],
    proof: bool,
    force: bool,
    mask: Path | None,
) -> int:
    """Paint one picture now, without the queue."""
    from loguru import logger

    from daemon.commands.stylize import Wish, paint_one
    from daemon.status.progress import single_progress

    if (preset is None) == (like is None):
        raise UsageError("say either --preset NAME or --like RESULT")
    logger.remove()  # what is worth saying is in the message or in the result's warnings
    in_force, path = configured(config)
    device = painting_device(in_force, path)
    wish = Wish(picture, preset or "", tuple(settings), proof, out, force, mask, like)
    with single_progress(files.printable(picture.name)) as on_progress:
        result = paint_one(in_force, path, device, wish, on_progress)
    for warning in result.warnings:
        say_error(f"warning: {warning}")
    streams.print_path(result.path)
    if result.forecast:
        print(result.forecast)
    return ExitCode.FINE


def show(config: Path | None, *, what: str, as_json: bool) -> int:
    """Show how a result was made, or a job, and the command that makes it again."""
    from daemon.commands.show import describe, find_made
    from daemon.status.show_result import print_made

    settings, _ = configured(config)
    tell(describe(settings, find_made(settings, what), config), print_made, as_json=as_json)
    return ExitCode.FINE


def gallery(config: Path | None, *, rebuild: bool) -> int:
    """Show where the gallery is; `--rebuild` writes all of it anew from what is in the outbox."""
    from daemon.commands.gallery import rebuild_gallery
    from daemon.job import GALLERY_INDEX
    from daemon.status.progress import counted_progress

    settings, _ = configured(config)
    if rebuild:
        with counted_progress("small versions") as on_picture:
            done = rebuild_gallery(settings, on_picture)
        for record in done.unshown:
            say_error(f"no small version can be made of what {files.printable(record)} tells of")
        print(f"{done.pictures} pictures are shown, {done.made} small versions were made")
    elif not settings.gallery:
        say_error("note: gallery: false keeps the service from writing it; see --rebuild")
    streams.print_path(settings.outbox / GALLERY_INDEX)
    return ExitCode.FINE


def retry(config: Path | None, *, jobs: list[str], failed: bool) -> int:
    """Put the pictures of failed or cancelled jobs back into the inbox, to be painted anew."""
    from daemon.commands.jobs import retry_jobs

    settings, _ = configured(config)
    if not jobs and not failed:
        raise UsageError("name jobs, or use --failed")
    return on_each(jobs, retry_jobs(settings, jobs, failed=failed))


def cancel(config: Path | None, *, jobs: list[str]) -> int:
    """Cancel jobs that are not over; their pictures go to the outbox's `failed` folder."""
    from daemon.commands.jobs import cancel_jobs

    settings, _ = configured(config)
    return on_each(jobs, cancel_jobs(settings, jobs))


def first(config: Path | None, *, jobs: list[str]) -> int:
    """Put waiting jobs before all others of their queue."""
    from daemon.commands.order import first_jobs

    settings, _ = configured(config)
    return on_each(jobs, first_jobs(settings, jobs))


def move(config: Path | None, *, job: str, before: str | None, last: bool) -> int:
    """Put a waiting job right before another one of its queue, or behind them all."""
    from daemon.commands.order import move_job

    if (before is None) != last:
        raise UsageError("say either --before JOB or --last")
    in_force, _ = configured(config)
    return on_each([job], [move_job(in_force, job, before)])


def approve(
    config: Path | None, *, jobs: list[str], waiting: bool, settings: list[str], proof: bool
) -> int:
    """Have the full pictures painted whose proofs wait for approval."""
    from daemon.commands.approval import approve_all, approve_jobs

    if bool(jobs) == waiting:
        raise UsageError("name jobs, or use --all")
    if waiting and (settings or proof):
        raise UsageError("--all approves as they are; for --set and --proof name jobs")
    in_force, _ = configured(config)
    said = approve_all(in_force) if waiting else approve_jobs(in_force, jobs, settings, proof=proof)
    return on_each(jobs, said, "no proof waits for approval")


def reject(config: Path | None, *, jobs: list[str]) -> int:
    """End jobs whose proofs wait; their pictures go to the outbox's `failed` folder."""
    from daemon.commands.approval import reject_jobs

    settings, _ = configured(config)
    return on_each(jobs, reject_jobs(settings, jobs))


def on_each(
    asked: list[str], said: Sequence[tuple[str, str]], nothing: str = "no failed jobs"
) -> int:
    """Prints what became of each job asked for; the exit code is 1 if one was refused.

    nothing: said where none was asked for by name, and there is none.
    """
    code = ExitCode.FINE
    for line, fault in said:
        if fault:
            code = say_error(fault, ExitCode.JOB_FAILED)
        else:
            print(line)
    if not said and not asked:
        print(nothing)
    return code


def pause(config: Path | None) -> int:
    """Let nothing run until `resume`: running jobs leave checkpoints, and their workers end."""
    from daemon.ledger.store import utc_now
    from daemon.state.pause import pause as pause_painting
    from daemon.state.pause import paused_since

    settings, _ = configured(config)
    access.is_there(settings.state)
    if since := paused_since(settings.state):
        print(f"painting has been paused since {since}")
        return ExitCode.FINE
    pause_painting(settings.state, utc_now())
    print("painting is paused; pictures are still taken in. Go on with: atelierd resume")
    return ExitCode.FINE


def resume(config: Path | None) -> int:
    """Let jobs run again after `pause`."""
    from daemon.state.pause import resume as resume_painting

    settings, _ = configured(config)
    print("painting goes on" if resume_painting(settings.state) else "painting was not paused")
    return ExitCode.FINE


def page(config: Path | None) -> int:
    """Serve the page to look at the work and to drop pictures on, until stopped."""
    from daemon.page.main import serve
    from daemon.status.logs import catch_strays, start_logging

    settings, _ = configured(config)
    # The log's file is the service's own: two programs would not agree on when to begin another.
    apart = settings.log.model_copy(update={"file": None})
    start_logging(settings.model_copy(update={"log": apart}))
    catch_strays()
    serve(settings)
    return ExitCode.FINE


def node(config: Path | None) -> int:
    """Paint for the service of another machine, as a node of its fleet, until stopped."""
    from daemon.fleet.supervisor import run_node
    from daemon.settings.fleet import check_node, find_node, load_node
    from daemon.status.logs import catch_strays, log_to_stderr

    path = find_node(config)
    settings = load_node(path)
    check_node(settings, path)
    log_to_stderr(settings.log_level)
    catch_strays()
    return run_node(settings, path)


def fleet(config: Path | None) -> int:
    """Show where the fleet's scheduler and files are, and how long its certificates hold."""
    from daemon.commands.fleet import fleet_report
    from daemon.settings.fleet import require_extra

    settings, path = configured(config)
    require_extra(path)
    for line in fleet_report(settings):
        print(files.printable(line))
    return ExitCode.FINE


def fleet_certificates(
    config: Path | None,
    *,
    nodes: list[str],
    folder: Path | None,
    service_names: list[str],
    days: int,
    renew: bool,
) -> int:
    """Make the fleet's authority, and certificates for service, scheduler and nodes."""
    from daemon.settings.fleet import require_extra

    in_force = None
    if folder is None:
        in_force, _ = configured(config)
        folder = in_force.state / "fleet"
    require_extra(folder)
    from daemon.commands.fleet import certificate_order, next_copies, told
    from daemon.fleet.authority import make_certificates

    settings = in_force.fleet if in_force else None
    order = certificate_order(folder, settings, service_names, nodes, days, renew=renew)
    for made in make_certificates(order):
        print(files.printable(told(made)), flush=True)
    for line in next_copies(order):
        print(files.printable(line))
    return ExitCode.FINE


def fleet_scheduler(config: Path | None, *, folder: Path | None, listen: "Address") -> int:
    """Run a fleet's scheduler by itself, until stopped."""
    from daemon.commands.fleet import run_scheduler
    from daemon.settings.fleet import require_extra
    from daemon.status.logs import catch_strays, log_to_stderr

    if folder is None:
        settings, _ = configured(config)
        folder = settings.state / "fleet"
    require_extra(folder)
    log_to_stderr("INFO")
    catch_strays()
    run_scheduler(folder, listen)
    return ExitCode.FINE


def doctor(config: Path | None, *, as_json: bool, node: bool) -> int:
    """Check config, folders, presets, weights, machine and service; say what to mend."""
    from dataclasses import asdict

    from daemon.status.show import print_findings

    if node:
        from daemon.doctor.node import examine_node
        from daemon.settings.fleet import find_node, load_node

        path = find_node(config)
        findings = examine_node(load_node(path), path)
    else:
        from daemon.doctor import examine

        findings = examine(*configured(config))
    told = [asdict(finding) for finding in findings] if as_json else findings
    tell(told, print_findings, as_json=as_json)
    well = all(finding.ok for finding in findings)
    return ExitCode.FINE if well else ExitCode.JOB_FAILED


def install_service(
    config: Path | None,
    *,
    system: bool,
    user: bool,
    nightly: bool,
    node: bool,
    scheduler: bool,
    dry_run: bool,
) -> int:
    """Make atelierd a service of systemd, and say what to type next."""
    from daemon.install.render import Scope
    from daemon.install.write import next_steps, notices, service_files, write_files

    if system == user:
        raise UsageError("say either --system or --user")
    if nightly + node + scheduler > 1:
        raise UsageError("say one of --nightly, --node and --scheduler")
    if scheduler and user:
        raise UsageError("--scheduler is for --system: only there it gets a user of its own")
    scope = Scope.SYSTEM if system else Scope.USER
    order = to_be_installed(config, scope, nightly=nightly, node=node, scheduler=scheduler)
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
    return ExitCode.FINE


def to_be_installed(
    config: Path | None, scope: "Scope", *, nightly: bool, node: bool, scheduler: bool
) -> "Installation":
    """What `install-service` is to install; raises ConfigError."""
    from daemon.install.fleet import NodeOrder, SchedulerOrder, scheduler_listens
    from daemon.install.render import Order, running_program
    from daemon.settings.config import check_guarded
    from daemon.settings.fleet import check_node, find_node, load_node

    if node:
        path = find_node(config)
        node_settings = load_node(path)
        check_node(node_settings, path)
        return NodeOrder(scope, node_settings, path, running_program())
    settings, path = configured(config)
    check_guarded(settings, path)
    if scheduler:
        return SchedulerOrder(settings, path, running_program(), scheduler_listens(settings))
    return Order(scope, nightly, settings, path, running_program())


def weights(config: Path | None) -> int:
    """Show where the VGG-19 weights are and their sha256; `weights fetch` gets another set."""
    from daemon.engine.errors import WeightsError
    from daemon.engine.vgg.weights import NAMES, checked_sha256, locate

    settings, _ = configured(config)
    code = ExitCode.FINE
    for name in NAMES:
        used = "used" if name == settings.weights else "    "
        try:
            path = locate(name, settings.engine_folder)
            found = f"sha256 {checked_sha256(name, path)}  {files.printable(path)}"
        except (WeightsError, OSError) as error:
            found = access.explain(error)
            code = ExitCode.JOB_FAILED if used.strip() else code
        print(f"{name:<12} {used}  {found}")
    return code


def fetch_weights(config: Path | None, *, name: str) -> int:
    """Get another set of weights from the internet."""
    from daemon.engine.errors import WeightsError
    from daemon.engine.vgg.kernels import fetch_torchvision

    fetchers = {"torchvision": fetch_torchvision}
    settings, _ = configured(config)
    try:
        print(fetchers[name](settings.engine_folder))
    except WeightsError as error:
        return say_error(str(error), ExitCode.JOB_FAILED)
    return ExitCode.FINE


COMMANDS: dict[str, Command] = {
    "run": run,
    "status": status,
    "presets": presets,
    "stylize": stylize,
    "show": show,
    "gallery": gallery,
    "retry": retry,
    "cancel": cancel,
    "first": first,
    "move": move,
    "approve": approve,
    "reject": reject,
    "pause": pause,
    "resume": resume,
    "page": page,
    "node": node,
    "fleet": fleet,
    "fleet certificates": fleet_certificates,
    "fleet scheduler": fleet_scheduler,
    "doctor": doctor,
    "install-service": install_service,
    "weights": weights,
    "weights fetch": fetch_weights,
}
"""By what is typed, in the order of the help."""
