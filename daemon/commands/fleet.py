"""What is typed to look after a fleet: its certificates, and its scheduler run by itself."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from daemon.errors import AtelierError, SurroundingsError
from daemon.fleet.certificates import Validity, server_context, validity
from daemon.host.access import explain
from daemon.host.process import Message
from daemon.settings.address import Address, to_address
from daemon.settings.config import Config
from daemon.settings.fleet import CERTIFY, FleetSettings

if TYPE_CHECKING:
    from daemon.fleet.authority import Certificate, CertificateOrder


def certificate_order(
    folder: Path,
    fleet: FleetSettings | None,
    service_names: Sequence[str],
    nodes: Sequence[str],
    days: int,
    *,
    renew: bool,
) -> "CertificateOrder":
    """What is asked for, with what config.yaml's `fleet:` says of the scheduler."""
    from daemon.fleet.authority import CertificateOrder

    names = tuple(service_names) or (socket.gethostname(),)
    in_force = fleet or FleetSettings(embedded=True)
    return CertificateOrder(
        folder.absolute(),
        names,
        nodes=tuple(dict.fromkeys(nodes)),
        scheduler=scheduler_for_nodes(in_force, names[0]),
        files_url=in_force.files_url or f"https://{Address(names[0], in_force.files.port)}",
        days=days,
        renew=renew,
    )


def scheduler_for_nodes(fleet: FleetSettings, service_name: str) -> str:
    """Where nodes reach the scheduler: at the service's host where it runs on that."""
    if fleet.scheduler is None:
        return f"tls://{Address(service_name, fleet.listen.port)}"
    address = to_address(fleet.scheduler.removeprefix("tls://"))
    if address is None or not address.is_loopback:
        return fleet.scheduler
    return f"tls://{Address(service_name, address.port)}"


def told(made: "Certificate") -> str:
    """A line of what `fleet certificates` prints."""
    how = "new" if made.is_new else "kept"
    return f"{how:<5} {in_words(made.validity)}  {made.path}"


def in_words(held: Validity) -> str:
    """Whom a certificate is for, and until when."""
    return f"{held.role or '-':<10} {held.name:<24} until {held.ends:%Y-%m-%d}"


def next_copies(order: "CertificateOrder") -> Iterator[str]:
    """What to do next with the nodes' folders."""
    from daemon.fleet.authority import NODES

    if order.nodes:
        yield "next, copy each of these to its machine, and start `atelierd node` there:"
    for name in order.nodes:
        yield f"  {order.folder / NODES / name}"


def fleet_report(config: Config) -> Iterator[str]:
    """Where the fleet is, and what may enter it until when."""
    if config.fleet is None:
        yield "no fleet: pictures are painted on this machine (docs/fleet.md)"
        return
    place = config.fleet.place(config.state)
    yield f"scheduler  {place.scheduler}" + (f", ours, at {place.listen}" if place.listen else "")
    yield f"files      {place.files_url}, at {place.files}"
    for path in filter(None, (place.ca, place.cert, place.scheduler_cert)):
        yield f"{look_at(path)}  {path}"


def look_at(path: Path) -> str:
    """Whom a certificate is for, and until when; or what is in the way of seeing it."""
    try:
        return in_words(validity(path))
    except (AtelierError, OSError) as error:
        return explain(error)


def run_scheduler(folder: Path, listen: Address) -> None:
    """Runs Dask's scheduler in this process until SIGTERM or SIGINT.

    folder: where its certificates lie. Raises SurroundingsError where they are not, or are no
    longer good, or where nothing can listen.
    """
    from daemon.fleet.dask_settings import set_up_dask
    from daemon.fleet.scheduler import schedule

    ca, cert, key = (folder / name for name in ("ca.pem", "scheduler.pem", "scheduler.key"))
    server_context(ca, cert, key)  # said in our words, before Dask says it in its own
    if fault := validity(cert).fault(datetime.now(UTC)):
        logger.warning("{} {}; make another with: {} --renew", cert, fault, CERTIFY)
    set_up_dask()

    def tell(message: Message) -> None:
        logger.info("the scheduler listens at {}", message.get("address"))

    try:
        asyncio.run(schedule(str(listen), ca, cert, key, told=tell))
    except (OSError, RuntimeError) as error:  # Dask's own, for the reason that it is caused by
        why = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise SurroundingsError(f"nothing can listen at {listen}: {explain(why)}") from error
    logger.info("stopped")
